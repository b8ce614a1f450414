from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from dragoman.describe import describe_env


def told(env_id: str, observation: Any = None, /, *, precision: int = 2, **settings: Any) -> str:
    """Return the text of an observation, or of the first one of seed 0."""
    env = gym.make(env_id, **settings)
    first, info = env.reset(seed=0)
    describer = describe_env(env, precision=precision, limits=False)
    if observation is None:
        return describer.observation(first, info)
    if isinstance(observation, list):
        observation = np.array(observation, env.observation_space.dtype)
    return describer.observation(observation, {})


def assert_no_hidden_state(env_id: str, steps: int = 60) -> None:
    """Assert that a describer made from another environment, at its start, says the same."""
    env, other = gym.make(env_id), gym.make(env_id)
    other.reset(seed=99)
    here, there = describe_env(env), describe_env(other)
    env.action_space.seed(0)
    observation, info = env.reset(seed=0)
    for _ in range(steps):
        assert here.observation(observation, info) == there.observation(observation, info)
        observation, _, terminated, truncated, info = env.step(env.action_space.sample())
        if terminated or truncated:
            observation, info = env.reset()
    env.close()
    other.close()
