"""What happened before: the last observations and actions of an episode, in words."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import gymnasium as gym
from gymnasium.utils import RecordConstructorArgs

from dragoman.describe.moment import MOMENT, MomentMaker
from dragoman.describe.own import describer_for


class Remember(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Puts into ``info["moment"]`` what was seen and done in the last steps of this episode.

    It stands around one environment, beneath whatever resets it, so a reset forgets everything
    in every autoreset mode, and copies side by side never see each other's past.

    >>> lake = gym.make("FrozenLake-v1", is_slippery=False)
    >>> env = Remember(lake, steps=1, observation="row {row}, column {column}")
    >>> _ = env.reset(seed=0)
    >>> env.step(2)[-1]["moment"].past
    (('row 0, column 0', 'move right'),)

    Args:
        env: The environment.
        steps: How many steps are remembered.
        goal: What the agent should do, if that is to be said.
        list_actions: Say which actions are valid.
        synonyms: What every text says instead of a word or phrase.
        describe: Keyword arguments of `dragoman.describe.own.describer_for`.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        steps: int,
        goal: str | None = None,
        list_actions: bool = False,
        synonyms: Mapping[str, str] = MappingProxyType({}),
        **describe: Any,
    ) -> None:
        # A plain mapping, since specifications are written as JSON.
        RecordConstructorArgs.__init__(
            self,
            steps=steps,
            goal=goal,
            list_actions=list_actions,
            synonyms=dict(synonyms),
            **describe,
        )
        gym.Wrapper.__init__(self, env)
        make = functools.partial(describer_for, env, **describe)
        self._make = MomentMaker(
            make,
            env.action_space,
            goal=goal,
            history=steps,
            list_actions=list_actions,
            synonyms=synonyms,
        )
        self._past: deque[tuple[str, str]] = deque(maxlen=steps)
        self._now = self._make(None, {})

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset, and forget."""
        self._past.clear()
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, self._remembered(observation, info)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, and remember what was seen before and what was done."""
        self._past.append((self._now.state, self._now.action_text(action)))
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, self._remembered(observation, info)

    def _remembered(self, observation: Any, info: dict[str, Any]) -> dict[str, Any]:
        self._now = self._make(observation, info, tuple(self._past))
        return {**info, MOMENT: self._now}
