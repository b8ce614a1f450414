"""TextWorld games, made when they are first played and kept on disk.

A game is a map, objects, a quest and the words for them, all drawn by TextWorld from one seed, and
compiled to a file for the Z-machine, the interpreter of text adventures, in about a second. A game
that its own plan does not win is not used. Needs the extra ``textworld`` and no network.

    CACHE/textworld-1.7.0/5-rooms-10-objects-quest-5/SEED/game.z8, game.json, game.ni
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import platformdirs

from dragoman.errors import ConfigError, MissingExtraError

try:
    import textworld
    from jericho import UnsupportedGameWarning
    from textworld.generator.chaining import QuestGenerationError
except ImportError as error:
    raise MissingExtraError(str(error.name), extra="textworld") from error

Split: TypeAlias = Literal["train", "validation", "test"]

MOST_GAMES = 1_000_000  # a split
TRIES = 20


@dataclass(frozen=True)
class Recipe:
    """What the games of an environment have in common.

    Attributes:
        rooms: Rooms of the map.
        objects: Things and furniture, at least; the quest brings as many as it needs.
        quest_length: Commands that win the game, at most, when all are right.
        split: Which seeds the games come from; no two splits share one.
    """

    rooms: int
    objects: int
    quest_length: int
    split: Split

    def seed(self, number: int) -> int:
        """Return the seed of the split's game of that number."""
        return get_args(Split).index(self.split) * MOST_GAMES + number

    def file(self, number: int) -> Path:
        """Return the compiled game of that number, and make it if it is not there.

        Raises:
            ConfigError: TextWorld makes no game that its own plan wins.
        """
        kind = f"{self.rooms}-rooms-{self.objects}-objects-quest-{self.quest_length}"
        folder = _cache_folder() / f"textworld-{textworld.__version__}" / kind
        made = folder / str(self.seed(number))
        if not made.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as workshop:
                finished = Path(workshop) / "game"
                self._make(self.seed(number), finished / "game.z8")
                _publish(finished, made)
        return made / "game.z8"

    def _make(self, seed: int, path: Path) -> None:
        for attempt in range(TRIES):
            options = textworld.GameOptions()
            options.nb_rooms = self.rooms
            options.nb_objects = self.objects
            options.quest_length = self.quest_length
            # Beyond the seeds of all splits, so that a second try does not make another one's game.
            options.seeds = seed + attempt * len(get_args(Split)) * MOST_GAMES
            options.path = str(path)
            options.force_recompile = True  # over a try before
            try:
                textworld.make(options)
            except QuestGenerationError:
                continue
            if is_won_by_its_plan(path):
                return
        raise ConfigError(
            f"TextWorld makes no game with quest_length={self.quest_length} in a world of "
            f"rooms={self.rooms}",
            cure="choose a shorter quest or more rooms",
        )


def start(path: Path, wanted: Sequence[str]) -> Any:
    """Return an interpreter with a game; its states have the wanted attributes."""
    with warnings.catch_warnings():
        # It warns of every game that is not one of the old adventures whose memory it knows.
        warnings.simplefilter("ignore", UnsupportedGameWarning)
        return textworld.start(str(path), textworld.EnvInfos(**dict.fromkeys(wanted, True)))


def is_won_by_its_plan(path: Path) -> bool:
    """Return whether TextWorld's plan wins its game.

    About one game in forty cannot be won: where a locker stands beside a "type 0 locker", the
    game asks which of them "locker" means, and takes no answer that the first has.
    """
    game = start(path, ("policy_commands", "won"))
    try:
        state = game.reset()
        plan = list(state.policy_commands)
        for command in plan:
            state = game.step(command)[0]
        return bool(plan and state.won)
    finally:
        game.close()


def _publish(finished: Path, made: Path) -> None:
    """Move a finished folder to its place, unless another process was faster with the same."""
    try:
        finished.rename(made)
    except OSError:
        if not made.exists():
            raise


def _cache_folder() -> Path:
    return Path(os.environ.get("DRAGOMAN_CACHE") or platformdirs.user_cache_dir("dragoman"))
