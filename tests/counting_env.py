"""An environment whose every observation, return and ending is known in advance."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np


class Counting(gym.Env[np.ndarray, int]):
    """Observes how many steps it has taken; each step is worth the new count.

    Episode ``e`` (from zero) of an environment with ``first`` has ``first + e`` steps. It
    terminates when ``e`` is even and is truncated when ``e`` is odd. An episode of n steps
    returns 1 + 2 + ... + n.
    """

    def __init__(self, first: int = 2) -> None:
        self.observation_space = gym.spaces.Box(0, 1000, (1,), np.float32)
        self.action_space = gym.spaces.Discrete(2)
        self.first = first
        self.episode = -1
        self.count = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.episode += 1
        self.count = 0
        return self._observation(), {"episode": self.episode}

    def step(self, action: int) -> Any:
        self.count += 1
        ended = self.count == self.first + self.episode
        terminated = ended and self.episode % 2 == 0
        truncated = ended and self.episode % 2 == 1
        info = {"episode": self.episode}
        return self._observation(), float(self.count), terminated, truncated, info

    def _observation(self) -> np.ndarray:
        return np.array([self.count], np.float32)
