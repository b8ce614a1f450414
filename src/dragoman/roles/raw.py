"""The raw observation as the state: what a policy sees without the observe role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces.utils import flatdim, flatten

from dragoman.errors import ConfigError
from dragoman.types import FloatArray, Info


class RawState:
    """The flattened raw observation as the state: what is seen without the observe role.

    Args:
        space: The (unbatched) observation space.

    Raises:
        ConfigError: The space has no fixed number of values.
    """

    model: None = None

    def __init__(self, space: gym.Space[Any]) -> None:
        if not space.is_np_flattenable:
            raise ConfigError(
                f"without the observe role the policy reads raw observations, but {space} has no "
                "fixed number of values",
                cure="turn the observe role on, as in 'observe: {}'",
            )
        self.space = space
        self.feature_space = gym.spaces.Box(-np.inf, np.inf, (flatdim(space),), np.float32)
        self.learning = True

    def texts(self, observations: Sequence[Any], infos: Sequence[Info]) -> list[str]:
        """Return empty texts: nothing is read."""
        return ["" for _ in observations]

    def __call__(self, observations: Sequence[Any], infos: Sequence[Info]) -> FloatArray:
        """Return ``B`` observations as float32 ``(B, D)``."""
        return np.stack([np.asarray(flatten(self.space, one), np.float32) for one in observations])

    def state(self) -> dict[str, np.ndarray]:
        """Return nothing: there is nothing to save."""
        return {}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore nothing."""
