"""Whole episodes of copies that begin alike, as every engine plays them and learns from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium.spaces import Discrete, Space
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from dragoman.describe.environment import EnvDescriber
from dragoman.describe.moment import Moment
from dragoman.experiment.credit import Credit
from dragoman.maths import credit as rules
from dragoman.maths.seeds import derive_seed
from dragoman.types import BoolArray


class Numbers:
    """Numbers of states and of actions, equal for equal ones."""

    def __init__(self) -> None:
        self._known: dict[Any, int] = {}

    def state(self, moment: Moment) -> int:
        """Return the number of a state."""
        return self._of(identity(moment))

    def states(self, moments: Iterable[Moment]) -> rules.Ids:
        """Return those of several states."""
        return np.array([self.state(moment) for moment in moments])

    def actions(
        self, actions: NDArray[Any], moments: Sequence[Moment], space: Space[Any]
    ) -> rules.Ids:
        """Return one number for actions that are called alike, or are equal where none is named.

        Args:
            actions: What was chosen, ``(B, ...)``.
            moments: Where it was chosen.
            space: What was chosen from.
        """
        if isinstance(space, Discrete):
            named = zip(actions.reshape(-1).tolist(), moments, strict=True)
            names: list[Any] = [moment.action_texts[i] or i for i, moment in named]
        else:
            names = [row.tobytes() for row in actions]
        return np.array([self._of(("action", name)) for name in names])

    def _of(self, thing: Any) -> int:
        return self._known.setdefault(thing, len(self._known))


def identity(moment: Moment) -> Any:
    """Return what equal states share: the exact key, or the text of a describer without keys."""
    is_exact = isinstance(moment.maker.describer, EnvDescriber)
    return moment.key if is_exact else moment.state


def start_seeds(size: int, seed: int, at: int, copies: Iterable[int]) -> list[int]:
    """Return with which seeds copies begin their next episode: one seed a group.

    Args:
        size: Copies of a group, which follow one another.
        seed: Of the training.
        at: What tells this round of episodes from others.
        copies: Numbers of the copies, over all processes.
    """
    return [derive_seed("start", seed, at, copy // size) for copy in copies]


def rest(env: VectorEnv[Any, Any, Any], which: BoolArray) -> None:
    """Let some copies wait from the beginning of their next episode, and the others play."""
    copies: Any = env.unwrapped
    copies.set_attr("is_resting", which.tolist())


def spread(actions: NDArray[Any], rows: rules.Ids, count: int) -> NDArray[Any]:
    """Return an action for every copy; those that wait do nothing with theirs."""
    sent = np.repeat(actions[:1], count, axis=0)
    sent[rows] = actions
    return sent


def earned(play: rules.Play, settings: Credit, *, gamma: float, lam: float) -> rules.Credit:
    """Return what each step has earned, and which steps an update learns from.

    Args:
        play: Groups all of whose episodes have ended.
        settings: The rule.
        gamma: Discount.
        lam: Of generalised advantages.
    """
    result = rules.credit(
        play,
        settings.use,
        gamma=gamma,
        lam=lam,
        weight=settings.step_weight,
        history=settings.history,
        scale=settings.scale,
    )
    if settings.keep == 1 or not settings.compares_starts or not len(play.lengths):
        return result
    kept = rules.varied(play, settings.keep)
    filtered = float(len(np.unique(play.groups[~kept])))
    return replace(
        result,
        says=result.says & kept[play.episode],
        columns={**result.columns, "credit/filtered": filtered},
    )
