"""What the guard around each environment costs: environment steps a second with and without it.

    python benchmarks/guard.py [--rounds 12] [--out FOLDER]

CartPole, 8 copies. The guard is all that stands in for sound values: the checks of every value,
and what ends hanging steps and makes copies anew. It is held against plain Gymnasium, and against
our own copies without it, which step faster than Gymnasium's. Stepped alone, which is the most that
it can cost, and in a training by PPO without a language model, in the time of the processor, since
the disk's is chance; interleaved in one process on one thread.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
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
from dragoman.environments.copies import Copies
from dragoman.environments.guard import Faults
from dragoman.environments.vector import make_vector

COPIES, STEPS, TRAINED = 8, 1000, 4096
TARGET = 0.98
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


def bare(kind: type[SyncVectorEnv]) -> Any:
    """Return what makes copies of a kind without a guard, with masks read as always."""

    def make(spec: EnvSpec, copies: int, *given: Any, autoreset: Any = SAME, **named: Any) -> Any:
        return kind(
            [lambda: ReadMasks(gymnasium.make(spec.id, disable_env_checker=True))] * copies,
            autoreset_mode=autoreset,
        )

    return make


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
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    draw = np.random.default_rng(0)
    seeds = iter(range(10_000))
    faults = Faults()
    makers = [make_vector, bare(SyncVectorEnv), bare(Copies)]
    with faults.limiting():
        alone = interleaved(
            [stepping(maker, faults) for maker in makers],
            lambda: draw.integers(2, size=(STEPS, COPIES)),
            10 * options.rounds,
        )
    trained = interleaved(
        [training(maker) for maker in makers],
        lambda: next(seeds),
        options.rounds,
        clock=time.process_time,
    )
    steps, training_name = f"{STEPS * COPIES:,} steps alone", f"PPO for {TRAINED:,} steps"
    # A training differs from the next by more than this, so its share is worked out too.
    added = (alone[0] - alone[2]) * TRAINED / (STEPS * COPIES)
    with_added = trained[2] + added
    figures = [
        Figure(steps, "plain Gymnasium", alone[0], alone[1], target=TARGET),
        Figure(steps, "our copies, no guard", alone[0], alone[2]),
        Figure(training_name, "plain Gymnasium", trained[0], trained[1], target=TARGET),
        Figure(training_name, "our copies, no guard", trained[0], trained[2], target=TARGET),
        Figure(
            f"{training_name}, with what the guard's steps cost more alone",
            "our copies, no guard",
            with_added,
            trained[2],
            target=TARGET,
        ),
    ]
    about = (
        "CartPole with 8 copies, no language model. Times in ms, of the processor where it "
        "trains; a ratio is of steps a second."
    )
    publish(figures, options.out / "guard.md", "What the guard around environments costs", about)


if __name__ == "__main__":
    main()
