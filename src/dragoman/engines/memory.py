"""Whether what a training keeps fits into this machine, before it begins."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from dragoman.errors import ConfigError

COPIES = 2
"""An update reads a rollout in another order than it was written in, so it copies it."""


def refuse_rollout(
    observations: gym.Space[Any], steps: int, num_envs: int, memory: int | None = None
) -> None:
    """Refuse a rollout whose observations do not fit into memory.

    Args:
        observations: What the policy reads of one state.
        steps: Steps of a rollout.
        num_envs: Copies of the environment.
        memory: Bytes of this machine; asked for unless given.

    Raises:
        ConfigError: They do not fit.
    """
    memory = _memory() if memory is None else memory
    sizes = {
        name: steps * num_envs * int(np.prod(space.shape or ())) * np.dtype(space.dtype).itemsize
        for name, space in _parts(observations).items()
    }
    if memory is None or COPIES * sum(sizes.values()) <= memory:
        return
    largest = max(sizes, key=lambda name: sizes[name])
    raise ConfigError(
        f"a rollout of {steps:,} steps in {num_envs:,} copies of the environment holds "
        f"{sum(sizes.values()) / 1e9:,.1f} GB of observations, most of it {largest!r} of shape "
        f"{_parts(observations)[largest].shape}, and an update needs {COPIES} times that, but this "
        f"machine has {memory / 1e9:,.1f} GB",
        cure="lower n_steps in algorithm.settings, or num_envs; of many actions policy 'score' "
        "keeps one number each, where 'match' keeps their features",
    )


def _parts(space: gym.Space[Any]) -> Mapping[str, gym.Space[Any]]:
    return space.spaces if isinstance(space, gym.spaces.Dict) else {"observation": space}


def _memory() -> int | None:
    """Return the bytes of this machine's memory, where the system says it."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
