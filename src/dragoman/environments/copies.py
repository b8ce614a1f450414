"""Copies of an environment that are stepped one after another."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import concatenate, iterate


class Copies(SyncVectorEnv):
    """Gymnasium's `SyncVectorEnv`, whose steps take less time and return the same.

    What is saved here pays for the checks of every step: empty infos are not gathered, numbers of
    all copies become an array at once instead of one by one, and flags are read before they do.
    """

    def __init__(self, *settings: Any, **named: Any) -> None:
        super().__init__(*settings, **named)
        space = self.single_observation_space
        self._rows: np.ndarray | None = None
        if isinstance(space, gym.spaces.Box) and space.shape:
            # The same memory as the observations of all copies, one behind the other.
            self._rows = self._observations.reshape(-1, *space.shape[1:])

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step all copies, and begin anew where an episode has ended."""
        if self.autoreset_mode != AutoresetMode.SAME_STEP:
            return super().step(actions)
        infos: dict[str, Any] = {}
        rewards, terminations, truncations = [], [], []
        chosen = iterate(self.action_space, actions)
        for i, (env, action) in enumerate(zip(self.envs, chosen, strict=True)):
            observation, reward, terminated, truncated, info = env.step(action)
            rewards.append(reward)
            terminations.append(terminated)
            truncations.append(truncated)
            if terminated or truncated:
                last = {"final_obs": observation, "final_info": info}
                infos = self._add_info(infos, last, i)
                observation, info = env.reset()
            if info:
                infos = self._add_info(infos, info, i)
            self._env_obs[i] = observation
        return (
            self._gathered(),
            np.array(rewards, np.float64),
            np.array(terminations, np.bool_),
            np.array(truncations, np.bool_),
            infos,
        )

    def _gathered(self) -> Any:
        """Return the observations of all copies."""
        if self._rows is not None:
            seen: Any = self._env_obs
            np.concatenate(seen, out=self._rows)
            return self._observations.copy() if self.copy else self._observations
        space = self.single_observation_space
        self._observations = concatenate(space, self._env_obs, self._observations)
        return deepcopy(self._observations) if self.copy else self._observations
