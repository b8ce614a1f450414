"""An environment that lives with a text that is none of its actions."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium.utils import RecordConstructorArgs

INVALID = "invalid_text"
"""Key of an info which says whether the step's text named no valid action."""

PATIENCE = 100
"""So many such texts in a row end an episode that has no time limit."""


class Tolerant(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Takes the number before the first action for a text that named none.

    Where actions are texts, it takes any text: one that does not lie in the space is none. Then
    nothing is done, and a step passes all the same: time limits count it. What is seen stays
    what it was.

    Args:
        env: An environment with Discrete or Text actions.
        ends: Such a text ends the episode.
    """

    def __init__(self, env: gym.Env[Any, Any], ends: bool = False) -> None:
        RecordConstructorArgs.__init__(self, ends=ends)
        gym.Wrapper.__init__(self, env)
        self._ends = ends
        self._takes_texts = isinstance(env.action_space, gym.spaces.Text)
        self._nothing = int(getattr(env.action_space, "start", 0)) - 1
        spec = env.spec
        self._limit = None if spec is None else spec.max_episode_steps
        self._steps = self._in_a_row = 0
        self._last: tuple[Any, dict[str, Any]] = (None, {})

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset."""
        self._steps = self._in_a_row = 0
        self._last = self.env.reset(seed=seed, options=options)
        return self._last

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, or let a step pass."""
        self._steps += 1
        is_late = self._limit is not None and self._steps >= self._limit
        if self._is_nothing(action):
            self._in_a_row += 1
            is_late |= self._limit is None and self._in_a_row >= PATIENCE
            observation, info = self._last
            is_cut = is_late and not self._ends
            return observation, 0.0, self._ends, is_cut, {**info, INVALID: True}
        self._in_a_row = 0
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._last = observation, info
        is_cut = truncated or (is_late and not terminated)
        # An environment may itself say of a text that it says nothing.
        return observation, reward, terminated, is_cut, {INVALID: False, **info}

    def _is_nothing(self, action: Any) -> bool:
        if self._takes_texts:
            return not self.env.action_space.contains(action)
        return int(action) == self._nothing
