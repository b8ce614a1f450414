"""Moments of hand-made observations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym

from dragoman.describe import describe_env
from dragoman.describe.moment import Moment, MomentMaker, Past


class Echo:
    """Says an observation as Python writes it, unless the info has a text."""

    def observation(self, observation, info):
        return info.get("text", str(observation))

    def action(self, action):
        return f"action {action}"


def moments(
    observations: Sequence[Any],
    infos: Sequence[Mapping[str, Any]] | None = None,
    env: gym.Env | None = None,
    *,
    describer: Any = None,
    past: Past = (),
    **settings: Any,
) -> list[Moment]:
    """Return moments in the words of an environment, or of a describer."""
    actions = gym.spaces.Discrete(1) if env is None else env.action_space
    if describer is None:
        describer = Echo() if env is None else describe_env(env)
    make = MomentMaker(lambda: describer, actions, **settings)
    pairs = zip(observations, infos or [{}] * len(observations), strict=True)
    return [make(observation, info, past) for observation, info in pairs]
