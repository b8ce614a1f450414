"""Environments of other suites, by a prefix: ``reasoning-gym:chain_sum``, ``openenv:http://...``.

A world is a class of `dragoman.tasks` that is made with what stands behind the colon. Its package
is imported when the environment is made.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gymnasium.envs.registration import EnvSpec

from dragoman.errors import ConfigError


class World(NamedTuple):
    """A suite of environments.

    Attributes:
        entry_point: The class.
        argument: Under which it takes what stands behind the colon.
        example: What may stand there.
    """

    entry_point: str
    argument: str
    example: str


WORLDS = {
    "gem": World("dragoman.tasks.gem:Gem", "game", "game:GuessTheNumber-v0-easy"),
    "openenv": World("dragoman.tasks.openenv:OpenEnv", "url", "http://127.0.0.1:8000"),
    "reasoning-gym": World("dragoman.tasks.reasoning_gym:ReasoningGym", "dataset", "chain_sum"),
    "textarena": World("dragoman.tasks.textarena:TextArena", "game", "TicTacToe-v0"),
    "textworld-express": World("dragoman.tasks.textworld_express:TextWorldExpress", "game", "coin"),
}


def world_spec(name: str, max_episode_steps: int | None) -> EnvSpec | None:
    """Return the specification of a world, or nothing where no prefix says that it is one.

    Args:
        name: ``prefix:what``.
        max_episode_steps: A time limit.

    Raises:
        ConfigError: Nothing stands behind the prefix.
    """
    prefix, _, what = name.partition(":")
    if prefix not in WORLDS:
        return None
    world = WORLDS[prefix]
    if not what:
        raise ConfigError(
            f"{name!r} names no environment of {prefix}",
            cure=f"write one behind the colon, such as '{prefix}:{world.example}'",
        )
    # Gymnasium's ids know fewer characters than addresses do.
    plain = re.sub(r"[^\w.:-]+", "-", what.partition("://")[2] or what)
    return EnvSpec(
        id=f"{prefix}:{plain}",
        entry_point=world.entry_point,
        max_episode_steps=max_episode_steps,
        kwargs={world.argument: what},
    )
