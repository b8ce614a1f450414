"""Actions that are not always allowed: one rule for all environments of this package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dragoman.errors import SpaceError, did_you_mean

Mask: TypeAlias = NDArray[np.int8]
"""int8 ``(A,)``: 1 where an action is allowed, as ``gymnasium.spaces.Discrete.sample`` reads it."""

WhenMasked: TypeAlias = Literal["next", "refuse"]
"""What an action outside the mask does: the next allowed one up, cyclically, or a `SpaceError`.

``"next"`` lets algorithms without masks train, and keeps returns and episode lengths comparable.
"""

Wording: TypeAlias = Literal["named", "described"]
"""Whether an action's text only names what to choose, or says what the choice is like too."""


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


def action_of(text: str, texts: Sequence[str]) -> int:
    """Return the index of an action's text, or raise a `SpaceError` that names a near one."""
    known = [item for item in texts if item]
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
    allowed = env.action_masks() if hasattr(env, "action_masks") else None
    return int(env.action_space.sample(mask=allowed))
