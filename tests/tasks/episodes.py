from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np


def play(env: gym.Env, policy: Any, *, seed: int) -> list[tuple[Any, ...]]:
    """Return (observation, reward, info) of every step of one episode, asserting its end."""
    env.action_space.seed(seed)
    observation, info = env.reset(seed=seed)
    steps = [(observation, 0.0, info)]
    over = False
    while not over:
        observation, reward, over, truncated, info = env.step(policy(env))
        assert not truncated
        assert env.observation_space.contains(observation)
        steps.append((observation, reward, info))
    return steps


def same(one: list[tuple[Any, ...]], other: list[tuple[Any, ...]]) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(a[0], b[0])
        and a[1] == b[1]
        and np.array_equal(a[2]["action_mask"], b[2]["action_mask"])
        for a, b in zip(one, other, strict=True)
    )
