"""Microseconds to describe what a BabyAI agent sees, beside a step of the environment.

python -m benchmarks.describing_minigrid
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import gymnasium as gym

import dragoman.tasks  # noqa: F401 # registers the task
from dragoman.describe.minigrid import MiniGridDescriber

ROUNDS, STEPS = 20, 500


def main() -> None:
    env = gym.make("dragoman/BabyAIText-Mixed-v0", disable_env_checker=True)
    level: Any = env.unwrapped
    describer = MiniGridDescriber()
    env.action_space.seed(0)
    env.reset(seed=0)
    described, stepped = [], []
    for _ in range(ROUNDS):
        observations = []
        taken = 0.0
        for _ in range(STEPS):
            action = env.action_space.sample()
            started = time.perf_counter()
            observation, _, terminated, truncated, _ = level.step(action)
            taken += time.perf_counter() - started
            observations.append(observation)
            if terminated or truncated:
                env.reset()
        stepped.append(taken / STEPS)
        started = time.perf_counter()
        texts = [describer.observation(observation, {}) for observation in observations]
        described.append((time.perf_counter() - started) / len(texts))
    print(f"describe {1e6 * statistics.median(described):.1f} us a text")
    print(f"step     {1e6 * statistics.median(stepped):.1f} us, the text among it")


if __name__ == "__main__":
    main()
