"""Sentences for the Atari games whose memory is known, where ALE shows it."""

from __future__ import annotations

from typing import Any

from dragoman.describe.families.family import Family, Writer
from dragoman.tasks.atari_memory import GAMES


class Atari(Family):
    """A game on ALE's console."""

    def writer(self, env: Any) -> Writer | None:
        """Return the writer of a known game's memory, uint8 ``(128,)``, if that is observed."""
        if env.spec is None or env.observation_space.shape != (128,):
            return None
        game = GAMES.get(env.spec.kwargs.get("game"))
        return None if game is None else lambda ram: game.read(ram).text()
