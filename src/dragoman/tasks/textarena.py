"""TextArena: games in text for one or two players (Guertler et al., TextArena, 2504.11442).

Needs the extra ``textarena``. In games for two an opponent plays the other side: a scripted one, a
function of yours, or a frozen model behind it. A step is a move and the opponent's answer. The
reward of an episode is TextArena's for the player, paid when the game ends.
"""

from __future__ import annotations

import contextlib
import functools
import io
import random
import re
from collections.abc import Callable
from typing import Any

from dragoman.errors import ConfigError, SpaceError
from dragoman.imports import import_name
from dragoman.tasks.typed import Dice, TypedEnv, needed, require_known

MOVE = re.compile(r"'(\[[^\]\n]+\])'")
"""How most games list the moves there are: ``Available Moves: '[0]', '[4]'``."""
MOST_MOVES = 1000
"""Moves of an opponent in a row, after which it is taken to be stuck."""


class TextArena(TypedEnv):
    """Play a game of TextArena.

    Args:
        game: An id of TextArena, for one or two players.
        opponent: ``random`` draws one of the moves that the game lists in its text; or
            ``my.py:function`` of the opponent's observation, which returns its move.
        first: Whether the agent begins; drawn for each episode unless given.
        max_action: Most characters of a move.
        config: Settings of the game.

    Raises:
        ConfigError: There is no such game or opponent, or it is for more players.
        MissingExtraError: The library is not installed.
    """

    def __init__(
        self,
        game: str,
        *,
        opponent: str = "random",
        first: bool | None = None,
        max_action: int = 1000,
        **config: Any,
    ) -> None:
        super().__init__(max_action)
        library = needed("textarena", "textarena")
        known = library.envs.registration.ENV_REGISTRY
        require_known("textarena", "game", game, known, "TicTacToe-v0")
        self._new_game = functools.partial(library.make, game, **config)
        self.game: Any = self._new_game()
        self.opponent: Callable[[str], str] = (
            self._drawn if opponent == "random" else import_name(opponent)
        )
        self.first = first
        self.player = 0
        self._name = game
        self._players = 0
        self._random: Any = None

    def _begin(self, seed: int) -> tuple[str, dict[str, Any]]:
        with self._quiet():
            random.seed(seed)
            begins = random.random() < 0.5 if self.first is None else self.first
            self._reset(seed)
            self.player = 0 if begins or self._players == 1 else 1
            _, text, is_over = self._answered(False)
            if is_over:
                raise SpaceError(
                    f"textarena's {self._name!r} was over before the first move",
                    cure="set first: true in env_settings, or give it another opponent",
                )
        return text, {}

    def _reset(self, seed: int) -> None:
        # The library's wrappers would tell the episodes before too.
        self.game = self._new_game()
        counts = (self._players,) if self._players else (1, 2)
        for count in counts:
            with contextlib.suppress(AssertionError, ValueError):
                self.game.reset(num_players=count, seed=seed)
                self._players = count
                return
        raise ConfigError(
            f"textarena's {self._name!r} is for more than two players",
            cure="choose a game for one or two",
        )

    def _type(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        with self._quiet():
            is_over, said = self.game.step(action=action)
            _, text, is_over = self._answered(bool(is_over))
            reward = 0.0
            info: dict[str, Any] = {}
            if is_over:
                rewards, games = self.game.close()
                own = games.get(self.player, {})
                reward = float((rewards or {}).get(self.player, 0.0))
                info = {"invalid_text": bool(own.get("invalid_move", False))}
                text = str(own.get("reason", said.get("reason", text)))
        return text, reward, is_over, False, info

    def _answered(self, is_over: bool) -> tuple[int, str, bool]:
        """Let the opponent move until it is the agent's turn, and return what the agent sees."""
        for _ in range(MOST_MOVES):
            if is_over:
                return self.player, "", True
            player, text = self.game.get_observation()
            if player == self.player:
                return player, str(text), False
            is_over = bool(self.game.step(action=str(self.opponent(str(text))))[0])
        raise SpaceError(
            f"the opponent of textarena's {self._name!r} has made {MOST_MOVES} moves in a row",
            cure="give it an opponent that makes valid moves",
        )

    def _drawn(self, text: str) -> str:
        moves = MOVE.findall(text.rpartition("Available")[2])
        if not moves:
            raise ConfigError(
                f"textarena's {self._name!r} lists no moves, so none can be drawn: {text[-80:]!r}",
                cure="set opponent: my.py:function in env_settings",
            )
        return str(random.choice(moves))

    @contextlib.contextmanager
    def _quiet(self) -> Any:
        """Lend this copy its own state of Python's generator, and keep its prints."""
        with Dice(self), contextlib.redirect_stdout(io.StringIO()):
            yield
