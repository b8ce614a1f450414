"""A policy's indices, counted from zero, and the environment's actions that they stand for.

Spaces of choices may start anywhere. Training libraries, policies, masks and lists of action texts
count from zero. Here, and nowhere else, one becomes the other.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Discrete, MultiDiscrete
from numpy.typing import NDArray


class Indices:
    """Indices in, actions out, and back; single ones or batches.

    Spaces that start at zero, or are no choices, pass as they are.

    Args:
        actions: The (unbatched) action space of the environment.

    Attributes:
        space: What a policy chooses from: the same choices, counted from zero.
    """

    def __init__(self, actions: gym.Space[Any]) -> None:
        self.space = actions
        self._start: NDArray[Any] | None = None
        if isinstance(actions, Discrete | MultiDiscrete) and np.any(actions.start):
            self._start = np.asarray(actions.start)
            dtype: Any = actions.dtype
            self.space = (
                Discrete(int(actions.n))
                if isinstance(actions, Discrete)
                else MultiDiscrete(actions.nvec, dtype=dtype)
            )

    def actions(self, indices: Any) -> Any:
        """Return the environment's actions."""
        return indices if self._start is None else indices + self._start

    def indices(self, actions: Any) -> Any:
        """Return the policy's indices of the environment's actions."""
        return actions if self._start is None else actions - self._start
