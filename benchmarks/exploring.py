"""What the explore role costs where texts repeat: steps a second with each method and without.

    python benchmarks/exploring.py [--rounds 5] [--steps 16384] [--model NAME] [--out FOLDER]

PPO on FrozenLake 8x8, which sees the number of its square, or the features that the bonus is made
of too. The arms take turns. What is compared is the median over the rollouts, each with its update,
after a quarter of the steps, when all texts have been met.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from dragoman import Experiment, Watcher, load_model, train
from dragoman.models.cache import CachedModel
from dragoman.testing import ScriptedModel

METHODS = ("counts", "e3b", "neighbours", "rnd", "noveld")
WIDTH = 576


class Rates(Watcher):
    """Steps a second of each rollout and its update, after the first quarter."""

    def __init__(self, steps: int) -> None:
        self.first = steps // 4
        self.last: tuple[float, int] | None = None
        self.rates: list[float] = []

    def rollout(self, training: Any, rollout: Any) -> None:
        now, steps = time.perf_counter(), training.steps
        if self.last is not None:
            self.rates.append((steps - self.last[1]) / (now - self.last[0]))
        if steps >= self.first:
            self.last = now, steps


def measured(method: str | None, observes: bool, steps: int, model: Any) -> list[float]:
    explore = None if method is None else {"method": method, "layer": 2}
    experiment = Experiment.from_dict(
        {
            "env": "FrozenLake8x8-v1",
            "steps": steps,
            "num_envs": 8,
            "observe": {"layer": 2} if observes else None,
            "algorithm": {"name": "ppo", "settings": {"n_steps": 64, "batch_size": 256}},
            "explore": explore,
            "track": [],
        }
    )
    watcher = Rates(steps)
    with tempfile.TemporaryDirectory() as folder:
        train(experiment, out=Path(folder) / "run", model=model, watchers=[watcher])
    return watcher.rates


def scripted() -> CachedModel:
    """Return a model that costs nothing: of texts that were met only the memory is asked."""
    vectors: dict[str, np.ndarray] = {}

    def answer(text: str) -> np.ndarray:
        if text not in vectors:
            vectors[text] = np.random.default_rng(len(vectors)).normal(size=WIDTH)
        return vectors[text]

    return CachedModel(ScriptedModel(answer, hidden_size=WIDTH))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=16_384)
    parser.add_argument("--model", help="instead of a scripted one as wide as SmolLM2-135M")
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    model = scripted() if options.model is None else CachedModel(load_model(options.model))
    lines = ["| observe | method | steps a second | slower than without |", "|---|---|---|---|"]
    for observes in (False, True):
        arms = (None, *options.methods)
        rates: dict[str | None, list[float]] = {arm: [] for arm in arms}
        for _ in range(options.rounds):
            for arm in arms:
                rates[arm].extend(measured(arm, observes, options.steps, model))
        without = statistics.median(rates[None])
        for arm in arms:
            rate = statistics.median(rates[arm])
            share = "" if arm is None else f"{1 - rate / without:.1%}"
            about = "layer 2" if observes else "no"
            lines.append(f"| {about} | {arm or 'none'} | {rate:,.0f} | {share} |")
    text = "\n".join(lines) + "\n"
    print(text)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "exploring.md").write_text(text)


if __name__ == "__main__":
    main()
