"""A random episode as a model would read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np

from dragoman.types import Describer, Info


def rollout(
    env: gym.Env[Any, Any], describer: Describer, *, steps: int, seed: int = 0
) -> Iterator[str]:
    """Yield, line by line, what a model would read of a random episode.

    Actions are drawn where ``info["action_mask"]`` is 1 and written as in
    ``info["action_texts"]``, where the environment reports these.
    """
    env.action_space.seed(seed)
    observation, info = env.reset(seed=seed)
    yield f"0: {describer.observation(observation, info)}"
    for step in range(1, steps + 1):
        action = _allowed_action(env.action_space, info)
        yield f"   > {_action_text(describer, action, info)}"
        observation, reward, terminated, truncated, info = env.step(action)
        ending = " (terminated)" if terminated else " (truncated)" if truncated else ""
        yield f"{step}: {describer.observation(observation, info)} [reward {reward:g}]{ending}"
        if terminated or truncated:
            observation, info = env.reset()
            yield f"   reset: {describer.observation(observation, info)}"


def _allowed_action(space: gym.Space[Any], info: Info) -> Any:
    """Return a random action, one that the mask of this moment allows where there is one."""
    if isinstance(space, gym.spaces.Discrete) and "action_mask" in info:
        return space.sample(mask=np.asarray(info["action_mask"], dtype=np.int8))
    return space.sample()


def _action_text(describer: Describer, action: Any, info: Info) -> str:
    return ("action_texts" in info and info["action_texts"][action]) or describer.action(action)
