"""Every reward on a sparse grid, by a model that knows the goal, beside its controls.

    python -m benchmarks.rewards --seeds 5

It shows that the parts work together, and what a placebo does; it says nothing about what a real
model knows. ``--real`` adds how well the real default model tells near from far on this grid.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

import dragoman
from dragoman.experiment import Experiment
from dragoman.maths.seeds import derive_seed
from dragoman.models.cache import CachedModel
from dragoman.roles.reward.protocols import Preparation
from dragoman.roles.reward.rewarder import BonusWarning
from tests.corner_grid import EXPERIMENT, GOAL, REWARDS, SIZE, START, knowing_model, nearness

RESULTS = Path(__file__).parent / "results" / "rewards.md"
POTENTIAL, BONUS = REWARDS["goal-similarity"], REWARDS["goal-reached"]
CONTROLS: dict[str, Any] = {
    "no reward role": None,
    "constant potential": {**POTENTIAL, "placebo": "constant"},
    "noise potential": {**POTENTIAL, "placebo": "noise"},
    "constant bonus": {**BONUS, "placebo": "constant"},
    "noise bonus": {**BONUS, "placebo": "noise"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--real", action="store_true", help="also ask the real default model")
    arguments = parser.parse_args()
    lines = list(table(arguments.seeds))
    if arguments.real:
        lines += ["", *real_model()]
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def table(seeds: int) -> Iterator[str]:
    """Yield the table, one line an arm."""
    most, steps = EXPERIMENT["max_episode_steps"], EXPERIMENT["steps"]
    yield f"A {SIZE} x {SIZE} grid, reward 1 at the far corner, {most} steps an episode;"
    yield f"PPO for {steps:,} steps, {seeds} seeds. Shares of episodes that reached the goal."
    yield ""
    yield "| reward | shaping | all episodes | last 50 | by seed, last 50 |"
    yield "|---|---|---|---|---|"
    for name, reward in (CONTROLS | REWARDS).items():
        runs = [solved(reward, seed) for seed in range(seeds)]
        whole, last = np.mean(runs, axis=0)
        form = "" if reward is None else reward.get("shaping", "potential")
        by_seed = " ".join(f"{run[1]:.2f}" for run in runs)
        yield f"| {name} | {form} | {whole:.2f} | {last:.2f} | {by_seed} |"


def solved(reward: Any, seed: int) -> tuple[float, float]:
    """Return the share of all and of the last 50 training episodes that reached the goal."""
    experiment = Experiment.from_dict({**EXPERIMENT, "reward": reward})
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", BonusWarning)
        run = dragoman.train(experiment, seed, out=Path(folder, "run"), model=knowing_model())
        returns = [row["return"] for row in run.episodes()]
    return float(np.mean(returns)), float(np.mean(returns[-50:]))


def real_model() -> Iterator[str]:
    """Yield how the real model's numbers of all states go with the nearness of the goal."""
    from scipy.stats import spearmanr

    model = CachedModel(dragoman.load_model())
    texts = all_texts()
    yield f"{model.name}, asked of the {len(texts)} states of this grid:"
    yield ""
    yield "| reward | rank correlation with nearness | spread | measured before the training |"
    yield "|---|---|---|---|"
    truth = [nearness(text) for text in texts]
    for name, reward in real_rewards().items():
        term = Experiment.from_dict({**EXPERIMENT, "reward": reward}).reward.terms[reward["use"]]
        function = term.caller(name).function
        result: dict[str, Any] = {}
        if hasattr(function, "prepared"):
            with tempfile.TemporaryDirectory() as folder:
                seed = derive_seed("benchmark", name)
                preparation = Preparation(name, model, lambda steps: texts, seed, Path(folder))
                function, result = function.prepared(preparation)
        values = np.asarray(function(texts=texts, model=model))
        told = ", ".join(
            f"{key} {value:.2f}" for key, value in result.items() if isinstance(value, float)
        )
        rank = spearmanr(values, truth).statistic
        yield f"| {name} | {rank:.2f} | {values.std():.3f} | {told} |"


def all_texts() -> list[str]:
    """Return the text of each state of the grid."""
    env = gymnasium.make(EXPERIMENT["env"], **EXPERIMENT["env_settings"])
    describer = dragoman.describe_env(env)
    return [describer.observation(state, {}) for state in range(SIZE**2)]


def real_rewards() -> dict[str, dict[str, Any]]:
    """Return one of each reward that a small model can give."""
    task = "You walk over a frozen lake to its far corner, the last row and column."
    judge = {"use": "judge", "task": task, "question": "Is this near the far corner?"}
    choice = {"use": "preferences", "task": task, "question": "Which is nearer to the far corner?",
              "pairs": 300, "quantile": None}  # fmt: skip
    return {
        "goal-similarity": {"use": "goal-similarity", "goal": GOAL},
        "goal-baseline": {"use": "goal-similarity", "goal": GOAL, "baseline": START},
        "judge": judge,
        "judge, uncalibrated": {**judge, "calibrated": False},
        "preferences": choice,
    }


if __name__ == "__main__":
    main()
