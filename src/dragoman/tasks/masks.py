"""Actions that are not always allowed: one rule for all environments of this package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, TypeVar, get_args

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dragoman.errors import ConfigError, SpaceError, did_you_mean

World = TypeVar("World")

Mask: TypeAlias = NDArray[np.int8]
"""int8 ``(A,)``: 1 where an action is allowed, as ``gymnasium.spaces.Discrete.sample`` reads it."""

WhenMasked: TypeAlias = Literal["next", "refuse"]
"""What an action outside the mask does: the next allowed one up, cyclically, or a `SpaceError`.

``"next"`` lets algorithms without masks train, and keeps returns and episode lengths comparable.
"""


def one_of(name: str, value: Any, choices: Any) -> None:
    """Raise a `ConfigError` unless the value is one of a ``Literal``'s choices."""
    if value not in get_args(choices):
        names = ", ".join(map(repr, get_args(choices)))
        raise ConfigError(f"{name} is {value!r}", cure=f"choose from {names}")


def whole_number(name: str, value: Any, low: int, high: int) -> int:
    """Return the value as an integer from low to high, or raise a `ConfigError`."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | np.integer)
        or not low <= value <= high
    ):
        raise ConfigError(f"{name} is {value!r}", cure=f"give a whole number from {low} to {high}")
    return int(value)


def allowed_action(action: Any, mask: Mask, when_masked: WhenMasked) -> int:
    """Return the action to take: the given one when the mask allows it.

    Args:
        action: What the policy chose.
        mask: int8 ``(A,)``, with at least one 1.
        when_masked: What becomes of an action that the mask forbids.

    Raises:
        SpaceError: The action lies outside the space, or outside the mask under ``"refuse"``.
    """
    if not gym.spaces.Discrete(len(mask)).contains(np.asarray(action)[()]):
        raise SpaceError(
            f"action {action} is outside 0 to {len(mask) - 1}",
            cure="choose from the action space",
        )
    if mask[action]:
        return int(action)
    if when_masked == "refuse":
        raise SpaceError(
            f"action {action} is not allowed now; {np.flatnonzero(mask).tolist()} are",
            cure="choose where info['action_mask'] is 1, or make the environment with "
            "when_masked='next'",
        )
    return int((action + np.argmax(np.roll(mask, -int(action)))) % len(mask))


def refuse_the_past(is_over: bool) -> None:
    """Raise a `SpaceError` for a step after the end of an episode."""
    if is_over:
        raise SpaceError("the episode is over", cure="call reset() before the next step")


def action_of(text: str, texts: Sequence[str]) -> int:
    """Return the index of an action's text, or raise a `SpaceError` that names a near one."""
    known = [one for one in texts if one]
    if text not in known:
        raise SpaceError(
            f"no action reads {text!r} now{did_you_mean(text, known)}",
            cure=f"choose from {known[:20]}" if known else "call reset() before the next action",
        )
    return texts.index(text)


def allowed_texts(texts: Sequence[str], mask: Mask) -> list[str]:
    """Return the texts, empty where the mask forbids their action."""
    return [text if allowed else "" for text, allowed in zip(texts, mask, strict=True)]


def uniform(env: gym.Env[Any, Any]) -> int:
    """Return an allowed action, uniformly at random.

    The draw comes from the action space's own generator (``env.action_space.seed``), so that a
    policy's draws never change the instances that the environment draws.
    """
    env = env.unwrapped
    return int(env.action_space.sample(mask=env.action_masks()))  # type: ignore[attr-defined]


def played(env: gym.Env[Any, Any], kind: type[World], make: str) -> World:
    """Return the environment beneath all wrappers, of the kind that a reference policy plays.

    Args:
        env: What the policy was given.
        kind: The class that it knows.
        make: Id of an environment of that class.

    Raises:
        ConfigError: The environment is of another kind.
    """
    world = env.unwrapped
    if not isinstance(world, kind):
        raise ConfigError(
            f"this policy plays {kind.__name__}, not {type(world).__name__}",
            cure=f"give it gymnasium.make({make!r})",
        )
    return world


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return ``1 hour`` or ``3 hours``; give the plural unless it is the singular and an s."""
    return f"{count} {one if count == 1 else many or one + 's'}"
