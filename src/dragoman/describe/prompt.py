"""Goal, history and observation joined into the text that a language model reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dragoman.describe.environment import EnvDescriber
from dragoman.describe.history import HISTORY
from dragoman.types import Info


@dataclass(frozen=True)
class PromptDescriber:
    r"""A describer that puts the goal and what happened before around an observation's text.

    >>> import gymnasium as gym
    >>> from dragoman.describe import describe_env
    >>> env = gym.make("FrozenLake-v1")
    >>> describer = describe_env(env, observation="row {row}, column {column}")
    >>> prompts = PromptDescriber(describer, goal="reach the gift")
    >>> seen = {"history": (("row 0, column 0", "move right"),)}
    >>> print(prompts.observation(1, seen))
    Goal: reach the gift
    Observation: row 0, column 0
    Action: move right
    Observation: row 0, column 1

    Attributes:
        describer: Describes one observation by itself.
        goal: What the agent should do, if that is to be said.
    """

    describer: EnvDescriber
    goal: str | None = None

    def observation(self, observation: Any, info: Info) -> str:
        """Return goal, history and observation, one a line."""
        lines = [] if self.goal is None else [f"Goal: {self.goal}"]
        for seen, done in info.get(HISTORY, ()):
            lines += [f"Observation: {seen}", f"Action: {done}"]
        lines.append(f"Observation: {self.describer.observation(observation, info)}")
        return "\n".join(lines)

    def action(self, action: Any) -> str:
        """Return one action in words."""
        return self.describer.action(action)

    def actions(self, info: Info) -> Sequence[str]:
        """Return the texts of all actions, see `EnvDescriber.actions`."""
        return self.describer.actions(info)

    def state_key(self, observation: Any) -> bytes:
        """Return the key of an observation, see `EnvDescriber.state_key`."""
        return self.describer.state_key(observation)
