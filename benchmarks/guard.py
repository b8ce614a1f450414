"""What the guard around each environment costs: environment steps a second with and without it.

    python benchmarks/guard.py [--rounds 4] [--out FOLDER]

CartPole, 8 copies. The guard is all that stands in for sound values: the checks of every value,
and what ends hanging steps and makes copies anew. Without it there are plain Gymnasium's wrappers
only. Stepped alone, which is the most that it can cost, and in a training by PPO without a language
model; interleaved in one process on one thread.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import gymnasium
import numpy as np
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, SyncVectorEnv

sys.path.insert(0, str(Path(__file__).parent))

from measuring import Figure, interleaved, publish

import dragoman
from dragoman.describe.masks import ReadMasks
from dragoman.environments import environment_spec
from dragoman.environments.guard import Faults
from dragoman.environments.vector import make_vector

COPIES, STEPS, TRAINED = 8, 1000, 4096
MAKER = "dragoman.engines.train.make_vector"
SAME = AutoresetMode.SAME_STEP


def stepping(maker: Any, faults: Faults) -> Callable[[Any], None]:
    """Return what steps all copies by drawn actions."""
    envs = maker(environment_spec("CartPole-v1"), COPIES, faults=faults)
    envs.reset(seed=0)

    def step(actions: Any) -> None:
        for action in actions:
            envs.step(action)

    return step


def plain(spec: EnvSpec, copies: int, *given: Any, autoreset: Any = SAME, **settings: Any) -> Any:
    """Return copies without a guard, with masks read as always."""
    return SyncVectorEnv(
        [lambda: ReadMasks(gymnasium.make(spec.id, disable_env_checker=True))] * copies,
        autoreset_mode=autoreset,
    )


def training(maker: Any) -> Callable[[Any], None]:
    """Return what trains for some rollouts, on copies that are made so."""
    experiment = dragoman.Experiment.from_dict(
        {"env": "CartPole-v1", "observe": None, "steps": TRAINED, "num_envs": COPIES}
    )

    def train(seed: int) -> None:
        with tempfile.TemporaryDirectory() as folder, mock.patch(MAKER, maker):
            dragoman.train(experiment, seed, out=Path(folder) / "run", progress=False)

    return train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    draw = np.random.default_rng(0)
    seeds = iter(range(10_000))
    faults = Faults()
    with faults.limiting():
        alone = interleaved(
            [stepping(make_vector, faults), stepping(plain, faults)],
            lambda: draw.integers(2, size=(STEPS, COPIES)),
            10 * options.rounds,
        )
    trained = interleaved(
        [training(make_vector), training(plain)], lambda: next(seeds), options.rounds
    )
    figures = [
        Figure(f"{STEPS * COPIES:,} steps alone", "plain Gymnasium", *alone),
        Figure(f"PPO for {TRAINED:,} steps", "plain Gymnasium", *trained),
    ]
    # A training differs from the next by more than this, so its share is worked out too.
    added = (alone[0] - alone[1]) * TRAINED / (STEPS * COPIES)
    figures.append(
        Figure(
            f"PPO for {TRAINED:,} steps, with what its steps cost more alone",
            "plain Gymnasium",
            trained[1] + added,
            trained[1],
            target=0.98,
        )
    )
    about = "CartPole with 8 copies, no language model. Times in ms; a ratio is of steps a second."
    publish(figures, options.out / "guard.md", "What the guard around environments costs", about)


if __name__ == "__main__":
    main()
