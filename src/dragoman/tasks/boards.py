"""Board and card games: tic-tac-toe, connect four, chess, 2048 and Leduc poker.

All take the settings of `dragoman.tasks.spiel.SpielEnv`. References: `masks.uniform`,
`opponents.mcts` and, for 2048, `opponents.playouts`. All need the extra ``boards``.

Average returns of the default settings (a random opponent, a random side; in brackets the standard
error), with 100 simulations or 5 playouts a move:

    ============  ==============  ==============  ======================
    task          uniform         mcts, playouts  uniform against mcts
    ============  ==============  ==============  ======================
    TicTacToe     -0.00 (0.03)    0.90 (0.02)     -0.91 (0.02)
    ConnectFour   -0.06 (0.03)    0.99 (0.01)     -0.99 (0.01)
    Chess         0.04 (0.05)     1.00 (4 games)
    2048          1143 (41)       5904 (699)
    LeducPoker    -0.01 (0.08)    1.47 (0.22)     -2.21 (0.22)
    ============  ==============  ==============  ======================
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from dragoman.phrases import counted
from dragoman.tasks import board_frame
from dragoman.tasks import picture as drawing
from dragoman.tasks.board_frame import Tile
from dragoman.tasks.masks import WhenMasked
from dragoman.tasks.opponents import State
from dragoman.tasks.spiel import SpielEnv, outcome
from dragoman.types import FloatArray

CREAM, GREEN, BLUE = (240, 226, 196), (118, 150, 86), (60, 90, 170)
RED, YELLOW, NAVY = (214, 66, 56), (244, 208, 63), (20, 30, 60)
DISCS = {"x": RED, "o": YELLOW}
INKS = {"x": RED, "o": BLUE}


class TicTacToe(SpielEnv):
    """Tic-tac-toe; x moves first.

    The observation is float32 ``(3, 3, 3)``: planes of the agent's marks, the opponent's and the
    empty squares, each 0 or 1, the top row first.
    """

    game_name = "tic_tac_toe"
    SQUARES = (
        *("the top left", "the top middle", "the top right"),
        *("the middle left", "the centre", "the middle right"),
        *("the bottom left", "the bottom middle", "the bottom right"),
    )

    def words(self, state: State, player: int) -> str:
        """Return the board in words, seen by a player."""
        return (
            f"Tic-tac-toe: three in a row win. {_marks(player)} Rows from the top, . is empty: "
            f"{' / '.join(_rows(state))}. {outcome(state, player)}"
        )

    def move_words(self, state: State, action: int) -> str:
        """Return ``mark the centre``."""
        return f"mark {self.SQUARES[action]}"

    def tensor(self, state: State, player: int) -> FloatArray:
        """Return the three planes of a player."""
        empty, noughts, crosses = super().tensor(state, player)
        mine, theirs = (noughts, crosses) if player else (crosses, noughts)
        return np.stack([mine, theirs, empty])

    def picture(self, state: State, player: int) -> drawing.Image:
        """Return the board."""
        return board_frame.draw(
            [
                [Tile(CREAM, mark.strip("."), ink=INKS.get(mark, NAVY)) for mark in row]
                for row in _rows(state)
            ]
        )


class ConnectFour(SpielEnv):
    """Connect four on seven columns and six rows; x moves first.

    The observation is float32 ``(3, 6, 7)``: planes of the agent's discs, the opponent's and the
    empty holes, each 0 or 1, the top row first.
    """

    game_name = "connect_four(egocentric_obs_tensor=True)"

    def words(self, state: State, player: int) -> str:
        """Return the board in words, seen by a player."""
        return (
            f"Connect four: four in a row win, across, up or diagonally. {_marks(player)} "
            f"Columns 0 to 6, rows from the top, . is empty: {' / '.join(_rows(state))}. "
            f"{outcome(state, player)}"
        )

    def move_words(self, state: State, action: int) -> str:
        """Return ``drop in column 3``."""
        return f"drop in column {action}"

    def tensor(self, state: State, player: int) -> FloatArray:
        """Return the three planes of a player."""
        theirs, mine, empty = super().tensor(state, player)[:, ::-1]
        return np.stack([mine, theirs, empty])

    def picture(self, state: State, player: int) -> drawing.Image:
        """Return the board."""
        return board_frame.draw(
            [[Tile(BLUE, disc=DISCS.get(mark, NAVY)) for mark in row] for row in _rows(state)]
        )


class Chess(SpielEnv):
    """Chess by the rules of FIDE, threefold repetition and the fifty-move rule among the draws.

    Actions read as in a score sheet (``Nf3``, ``exd5``, ``O-O``). OpenSpiel numbers 4674 of them,
    of which some thirty are legal, so ``action_texts`` is a long list of mostly empty texts; walk
    over ``numpy.flatnonzero(info["action_mask"])`` instead of over the list.

    The observation is float32 ``(20, 8, 8)``, OpenSpiel's planes from 0 to 1: the pieces, white
    before black, the empty squares, repetitions, the side to move, castling and move counters.
    """

    game_name = "chess"
    PIECES: ClassVar = {
        "k": ("king", "kings"),
        "q": ("queen", "queens"),
        "r": ("rook", "rooks"),
        "b": ("bishop", "bishops"),
        "n": ("knight", "knights"),
        "p": ("pawn", "pawns"),
    }

    def words(self, state: State, player: int) -> str:
        """Return the position as FEN and as a list of pieces, seen by a player."""
        fen = str(state)
        pieces = " ".join(
            f"{name}: {self._pieces(fen, letters)}."
            for name, letters in (("White", "KQRBNP"), ("Black", "kqrbnp"))
        )
        seen = state.num_repetitions(state)
        again = f"This position has occurred {seen} times. " if seen > 1 else ""
        return (
            f"Chess. You play {('Black', 'White')[player]}. FEN: {fen}. {pieces} "
            f"{again}{outcome(state, player)}"
        )

    def picture(self, state: State, player: int) -> drawing.Image:
        """Return the board, White below; letters name the pieces."""
        tiles = [[Tile(CREAM if (i + j) % 2 == 0 else GREEN) for j in range(8)] for i in range(8)]
        for letter, file, rank in _men(str(state)):
            is_white = letter.isupper()
            tiles[8 - rank][file] = Tile(
                tiles[8 - rank][file].ground,
                letter.upper(),
                disc=(255, 255, 255) if is_white else (30, 30, 30),
                ink=(0, 0, 0) if is_white else (255, 255, 255),
            )
        return board_frame.draw(tiles)

    def _pieces(self, fen: str, letters: str) -> str:
        """Return ``king e1; rooks a1, h1``."""
        squares: dict[str, list[str]] = {letter: [] for letter in letters}
        for letter, file, rank in _men(fen):
            if letter in squares:
                squares[letter].append(f"{'abcdefgh'[file]}{rank}")
        return "; ".join(
            f"{self.PIECES[letter.lower()][len(result) > 1]} {', '.join(sorted(result))}"
            for letter, result in squares.items()
            if result
        )


class Game2048(SpielEnv):
    """2048: slide tiles on a board of four by four; equal ones that meet merge.

    A step is rewarded with the sum of the tiles it makes, so the return is the game's own score.
    The tile 2048 ends the game, and is a success. The observation is float32 ``(4, 4)``: the binary
    logarithm of each tile, 0 where there is none, from 0 to 11.
    """

    game_name = "2048"
    num_players = 1
    highest = 11.0

    def __init__(
        self,
        *,
        when_masked: WhenMasked = "next",
        render_mode: Literal["ansi", "rgb_array"] | None = None,
    ) -> None:
        super().__init__(side="first", when_masked=when_masked, render_mode=render_mode)

    def words(self, state: State, player: int) -> str:
        """Return the tiles, row by row."""
        tiles = self._tiles(state)
        rows = " / ".join(" ".join(map(str, row)) for row in tiles.tolist())
        ending = ""
        if state.is_terminal():
            ending = " The tile 2048 is made." if tiles.max() >= 2048 else " No move is left."
        return (
            "2048: slide all tiles one way; equal tiles that meet merge into their sum. "
            f"Score {state.returns()[player]:.0f}. Rows from the top, 0 is empty: {rows}.{ending}"
        )

    def move_words(self, state: State, action: int) -> str:
        """Return ``slide up``."""
        return f"slide {state.action_to_string(action).lower()}"

    def tensor(self, state: State, player: int) -> FloatArray:
        """Return the binary logarithms of the tiles."""
        return np.log2(np.maximum(self._tiles(state), 1)).astype(np.float32)

    def picture(self, state: State, player: int) -> drawing.Image:
        """Return the tiles, darker the larger."""
        return board_frame.draw(
            [
                [Tile(_heat(tile), str(tile) if tile else "") for tile in row]
                for row in self._tiles(state).tolist()
            ]
        )

    def _info(self, player: int | None = None) -> dict[str, Any]:
        return {**super()._info(player), "success": bool(self._tiles(self.state).max() >= 2048)}

    def _tiles(self, state: State) -> NDArray[np.int64]:
        return super().tensor(state, 0).astype(np.int64)  # (4, 4)


class LeducPoker(SpielEnv):
    """Leduc poker: two rounds of betting on one hidden card each and one open card.

    Both put in one chip; raises are of two chips in the first round and of four in the second, at
    most two a round. The return is the chips won, -13 to 13. The observation is float32 ``(30,)``,
    OpenSpiel's information state of 0 and 1: who one is, the own card, the open card (six cards
    each) and the calls and raises of both rounds. Neither it nor the text says the opponent's card.

    Southey et al., Bayes' bluff: opponent modelling in poker, UAI 2005.
    """

    game_name = "leduc_poker"
    RANKS = ("jack", "queen", "king")
    VIEW = re.compile(
        r"\[Private: (\d+)\]\[Round (\d)\].*?\[Money: (\d+) (\d+)\](?:\[Public: (\d+)\])?"
        r"\[Round1: ([\d ]*)\]\[Round2: ([\d ]*)\]"
    )

    def words(self, state: State, player: int) -> str:
        """Return what a player knows: the own card, the open one and the bets."""
        own, turn, public, money, rounds = self._view(state, player)
        opened = "not open yet" if public is None else f"a {public}"
        history = " ".join(
            f"Round {number}: {_bets(actions, player) or 'no bets yet'}."
            for number, actions in enumerate(rounds[:turn], start=1)
        )
        if state.is_terminal():
            won = round(state.returns()[player])
            ending = f"You {'win' if won > 0 else 'lose'} {counted(abs(won), 'chip')}."
            ending = ending if won else "The pot is shared."
        else:
            mine, theirs = 100 - money[player], 100 - money[1 - player]
            ending = (
                f"You have put in {counted(mine, 'chip')}, the opponent {theirs}. "
                f"{outcome(state, player)}"
            )
        return (
            "Leduc poker with two jacks, two queens and two kings: a pair with the public card "
            f"wins, else the higher card. You hold a {own}. The public card is {opened}. "
            f"Round {turn} of 2, raises of {2 * turn} chips. {history} {ending}"
        )

    def move_words(self, state: State, action: int) -> str:
        """Return ``fold``, ``check``, ``call`` or ``raise``."""
        name = str(state.action_to_string(action)).lower()
        # Folding is legal exactly when there is a raise to answer.
        return "check" if name == "call" and 0 not in state.legal_actions() else name

    def tensor(self, state: State, player: int) -> FloatArray:
        """Return the information state of a player."""
        return np.asarray(state.information_state_tensor(player), dtype=np.float32)

    def picture(self, state: State, player: int) -> drawing.Image:
        """Return the opponent's card face down, the public card and the own one, with the bets."""
        own, _, public, money, _ = self._view(state, player)
        felt = (30, 110, 70)

        def row(name: str, card: str | None, chips: str) -> list[Tile]:
            face = Tile(BLUE) if card is None else Tile(CREAM, card[0].upper(), ink=NAVY)
            return [Tile(felt, name, ink=CREAM), face, Tile(felt, chips, ink=CREAM)]

        bets = [counted(100 - chips, "chip") for chips in money]
        if state.is_terminal():
            bets = [f"{chips - 100:+d}" for chips in money]
        return board_frame.draw(
            [
                row("opponent", None, bets[1 - player]),
                row("public", public, ""),
                row("you", own, bets[player]),
            ]
        )

    def _view(
        self, state: State, player: int
    ) -> tuple[str, int, str | None, list[int], list[list[int]]]:
        """Return own card, round, public card, money left and the actions of both rounds.

        Read from the information state, since ``str(state)`` shows both hidden cards.
        """
        result = self.VIEW.search(state.information_state_string(player))
        assert result is not None, "OpenSpiel has changed how it writes Leduc poker"
        own, turn, first, second, public, *rounds = result.groups()
        return (
            self.RANKS[int(own) // 2],
            int(turn),
            None if public is None else self.RANKS[int(public) // 2],
            [int(first), int(second)],
            [[int(action) for action in actions.split()] for actions in rounds],
        )


def _marks(player: int) -> str:
    mine, theirs = "xo"[player], "ox"[player]
    return f"You play {mine} against {theirs}, x moves first."


def _rows(state: State) -> list[str]:
    return str(state).split()


def _men(fen: str) -> Iterator[tuple[str, int, int]]:
    """Yield letter, file from 0 and rank from 1 of every piece of a FEN."""
    for i, row in enumerate(fen.split()[0].split("/")):
        file = 0
        for letter in row:
            if letter.isdigit():
                file += int(letter)
            else:
                yield letter, file, 8 - i
                file += 1


def _heat(tile: int) -> drawing.Colour:
    """Return a colour from cream, for none, to red, for 2048."""
    share = max(tile.bit_length() - 1, 0) / 11
    return 250, round(240 - 170 * share), round(215 - 190 * share)


def _bets(actions: list[int], player: int) -> str:
    """Return ``you check, the opponent raises``; player 0 opens each round."""
    words, to_answer = [], False
    for i, action in enumerate(actions):
        verb = "fold" if action == 0 else "raise" if action == 2 else "call"
        if action == 1 and not to_answer:
            verb = "check"
        to_answer = action == 2
        words.append(f"you {verb}" if i % 2 == player else f"the opponent {verb}s")
    return ", ".join(words)
