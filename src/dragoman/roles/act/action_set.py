"""The valid actions of a moment, and the texts that a policy reads them under."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from dragoman.describe.moment import Moment
from dragoman.errors import ConfigError, SpaceError
from dragoman.phrases import plain
from dragoman.roles.act.settings import Act

HEAD_SPACES = (gym.spaces.Discrete, gym.spaces.Box)


class ActionSet:
    """A moment in, its valid actions with the texts that a policy reads them under out.

    Args:
        settings: The act role.
        space: The (unbatched) action space.
        seed: Draws what shuffled texts are.

    Attributes:
        count: Number of actions ``K``; 0 where they are continuous or texts.

    Raises:
        ConfigError: The policy cannot choose in this space.
    """

    def __init__(self, settings: Act, space: gym.Space[Any], seed: int = 0) -> None:
        check_choice(settings, space)
        self.settings = settings
        self.count = int(space.n) if isinstance(space, gym.spaces.Discrete) else 0
        self._order = np.random.default_rng(seed).permutation(self.count)

    def texts(self, moment: Moment) -> dict[int, str]:
        """Return the valid actions with their texts.

        Raises:
            SpaceError: A valid action has no text.
        """
        texts = moment.action_texts
        result = {i: str(plain(texts[i])) for i in np.flatnonzero(moment.valid).tolist()}
        for action, text in result.items():
            if not text.strip():
                raise SpaceError(
                    f"action {action} is valid, but its text is empty",
                    cure="name it in info['action_texts'] or describe.actions, or clear its bit in "
                    "the mask",
                )
        return self._shuffled(result) if self.settings.texts == "shuffled" else result

    def _shuffled(self, options: dict[int, str]) -> dict[int, str]:
        """Hand every action the text of the one after it, in an order drawn by seed."""
        drawn = [int(action) for action in self._order if int(action) in options]
        following = [*drawn[1:], *drawn[:1]]
        return {action: options[other] for action, other in zip(drawn, following, strict=True)}


def check_choice(settings: Act, space: gym.Space[Any]) -> None:
    """Refuse an action space that a policy cannot choose in."""
    able: tuple[type[gym.Space[Any]], ...] = (gym.spaces.Discrete,)
    if settings.policy == "head":
        able = HEAD_SPACES
    elif settings.writes_tokens:
        able = (gym.spaces.Discrete, gym.spaces.Text)
    if not isinstance(space, able):
        if isinstance(space, gym.spaces.Text):
            raise ConfigError(
                f"the policy {settings.policy!r} chooses among named actions, but those of {space} "
                "are texts without a list",
                cure="set act: {policy: write, constrain: none}",
            )
        raise ConfigError(
            f"the policy {settings.policy!r} cannot choose in {space}: it needs "
            f"{' or '.join(kind.__name__ for kind in able)} actions",
            cure="use policy 'head' or leave 'act' out"
            if isinstance(space, HEAD_SPACES)
            else "leave 'act' out",
        )
