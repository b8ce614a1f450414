"""What happened before: the last observations and actions of an episode, in words."""

from __future__ import annotations

from collections import deque
from typing import Any

import gymnasium as gym
from gymnasium.utils import RecordConstructorArgs

from dragoman.describe.environment import describe_env
from dragoman.types import Info

HISTORY = "history"
"""Key of the infos: pairs of texts, an observation and the action taken then, oldest first."""


class Remember(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Tells in ``info["history"]`` what was seen and done in the last steps of this episode.

    It stands around one environment, beneath whatever resets it, so a reset forgets everything
    in every autoreset mode, and copies side by side never see each other's past.

    >>> lake = gym.make("FrozenLake-v1", is_slippery=False)
    >>> env = Remember(lake, steps=1, observation="row {row}, column {column}")
    >>> _ = env.reset(seed=0)
    >>> env.step(2)[-1]["history"]
    (('row 0, column 0', 'move right'),)

    Args:
        env: The environment.
        steps: How many steps are remembered.
        describe: Keyword arguments of `describe_env`.
    """

    def __init__(self, env: gym.Env[Any, Any], steps: int, **describe: Any) -> None:
        RecordConstructorArgs.__init__(self, steps=steps, **describe)
        gym.Wrapper.__init__(self, env)
        self._describer = describe_env(env, **describe)
        self._past: deque[tuple[str, str]] = deque(maxlen=steps)
        self._now = ""
        self._info: Info = {}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset, and forget."""
        self._past.clear()
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, self._told(observation, info)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, and remember what was seen before and what was done."""
        self._past.append((self._now, self._describer.action_in(self._info, action)))
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, self._told(observation, info)

    def _told(self, observation: Any, info: dict[str, Any]) -> dict[str, Any]:
        self._now, self._info = self._describer.observation(observation, info), info
        return {**info, HISTORY: tuple(self._past)}
