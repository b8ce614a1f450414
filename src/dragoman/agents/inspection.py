"""The parts of an action, and what a policy makes of them in one state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from dragoman.agents.recording import Part, Weighed
from dragoman.engines.policies.policy import View


def parts_of(space: gym.Space[Any], say: Callable[[Any], str]) -> tuple[Part, ...]:
    """Return the parts of an action.

    Args:
        space: Box, Discrete, MultiDiscrete, MultiBinary, or Text, which has no parts.
        say: Puts a whole action into words.
    """
    if isinstance(space, gym.spaces.Discrete):
        first = int(space.start)
        return (Part(options=tuple(say(first + index) for index in range(int(space.n)))),)
    if isinstance(space, gym.spaces.MultiDiscrete):
        sizes = zip(space.start.ravel().tolist(), space.nvec.ravel().tolist(), strict=True)
        return tuple(
            Part(f"part {i + 1}", tuple(str(first + index) for index in range(size)))
            for i, (first, size) in enumerate(sizes)
        )
    if isinstance(space, gym.spaces.MultiBinary):
        return tuple(Part(f"part {i + 1}", ("off", "on")) for i in range(int(np.prod(space.shape))))
    if isinstance(space, gym.spaces.Text):
        return ()
    assert isinstance(space, gym.spaces.Box)
    bounds = zip(space.low.ravel().tolist(), space.high.ravel().tolist(), strict=True)
    several = int(np.prod(space.shape)) > 1
    return tuple(
        Part(f"part {i + 1}" if several else "", low=_finite(low), high=_finite(high))
        for i, (low, high) in enumerate(bounds)
    )


def weighed_of(view: View, action: Any) -> tuple[Weighed, ...]:
    """Return a policy's view of the parts of an action, each with what was chosen.

    Args:
        view: What the policy made of the state.
        action: The action that was taken, as the policy counts it.
    """
    chosen = np.asarray(action).ravel().tolist()
    if view.options:
        pairs = zip(view.options, chosen, strict=True)
        return tuple(Weighed(weights, one) for weights, one in pairs)
    if not view.means:
        return ()
    numbers = zip(chosen, view.means, view.spreads, strict=True)
    return tuple(Weighed((), *number) for number in numbers)


def _finite(bound: float) -> float | None:
    return bound if np.isfinite(bound) else None
