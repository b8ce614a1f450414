"""Which actions an environment offers now, and what they are called.

It says so in its infos: ``action_mask``, int8 ``(K,)``, and ``action_texts``, ``K`` texts, empty
where not admissible. Where it says nothing, every action is admissible and is called what the
describer calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from dragoman.describe.numbers import plain
from dragoman.errors import ConfigError, SpaceError
from dragoman.roles.act.settings import Act
from dragoman.types import BoolArray, Describer, Info

HEAD_SPACES = (gym.spaces.Discrete, gym.spaces.Box)


class Offers:
    """Infos in, admissible actions with their texts out.

    Args:
        settings: The act role.
        describer: Names actions where the environment does not.
        space: The (unbatched) action space.
        seed: Draws what shuffled texts are.

    Attributes:
        count: Number of actions ``K``; 0 where they are continuous.

    Raises:
        ConfigError: The policy cannot choose in this space.
    """

    def __init__(
        self, settings: Act, describer: Describer, space: gym.Space[Any], seed: int = 0
    ) -> None:
        check_actions(settings, space)
        self.settings = settings
        self.describer = describer
        self.count = int(space.n) if isinstance(space, gym.spaces.Discrete) else 0
        self._start = int(getattr(space, "start", 0))
        self._order = np.random.default_rng(seed).permutation(self.count)
        self._names: tuple[str, ...] | None = None

    def admissible(self, info: Info) -> BoolArray:
        """Return which actions may be taken now, bool ``(K,)``."""
        mask, texts = info.get("action_mask"), info.get("action_texts")
        if mask is None:
            mask = np.ones(self.count) if texts is None else [bool(text) for text in texts]
        found = np.asarray(mask).astype(np.bool_)
        if found.shape != (self.count,):
            raise SpaceError(
                f"info['action_mask'] has shape {found.shape}, but there are {self.count} actions",
                cure="give one entry for each action of the space",
            )
        return found

    def options(self, info: Info, mask: BoolArray) -> dict[int, str]:
        """Return the admissible actions with the texts they are read under."""
        texts = self._named(info)
        if len(texts) != self.count:
            raise SpaceError(
                f"info['action_texts'] has {len(texts)} texts for {self.count} actions",
                cure="give one text for each action, empty where it is not admissible",
            )
        found = {i: str(plain(texts[i])) for i in np.flatnonzero(mask).tolist()}
        for action, text in found.items():
            if not text.strip():
                raise SpaceError(
                    f"action {action} is admissible, but its text is empty",
                    cure="name it in info['action_texts'] or describe.actions, or clear its bit in "
                    "the mask",
                )
        return self._shuffled(found) if self.settings.texts == "shuffled" else found

    def _named(self, info: Info) -> Sequence[str]:
        """Return what all actions are called now."""
        texts: Sequence[str] | None = info.get("action_texts")
        if texts is None:
            return self._described()
        # A describer may be told other words than those of the environment.
        name: Callable[[Info], Sequence[str]] | None = getattr(self.describer, "actions", None)
        return texts if name is None or len(texts) != self.count else name(info)

    def _described(self) -> tuple[str, ...]:
        """Return what the describer calls the actions, asked for once."""
        if self._names is None:
            numbers = range(self._start, self._start + self.count)
            self._names = tuple(self.describer.action(number) for number in numbers)
        return self._names

    def _shuffled(self, options: dict[int, str]) -> dict[int, str]:
        """Hand every action the text of the one after it, in an order drawn by seed."""
        drawn = [int(action) for action in self._order if int(action) in options]
        following = [*drawn[1:], *drawn[:1]]
        return {action: options[other] for action, other in zip(drawn, following, strict=True)}


def check_actions(settings: Act, space: gym.Space[Any]) -> None:
    """Refuse an action space that a policy cannot choose in."""
    able = (gym.spaces.Discrete,) if settings.policy != "head" else HEAD_SPACES
    if not isinstance(space, able):
        raise ConfigError(
            f"the policy {settings.policy!r} cannot choose in {space}: it needs "
            f"{' or '.join(kind.__name__ for kind in able)} actions",
            cure="use policy 'head' or leave 'act' out"
            if isinstance(space, HEAD_SPACES)
            else "leave 'act' out",
        )
