"""Two Atari 2600 games by what lies in the console's memory, 128 bytes.

Positions are pixels of the 160 × 210 screen, velocities pixels a frame. The memory has the ball's
velocity beside its place, so one observation says which way it flies. Addresses of places: Anand et
al., Unsupervised state representation learning in Atari, NeurIPS 2019. How places in memory differ
from those on the screen, and the addresses of velocities, were measured on rendered frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dragoman.phrases import counted

Ram: TypeAlias = NDArray[np.uint8]
"""uint8 ``(128,)``."""

WIDTH, HEIGHT = 160, 210
LEFT_WALL, RIGHT_WALL = 8, 152  # of Breakout
CEILING, GROUND = 34, 194  # of Pong


@dataclass(frozen=True)
class Ball:
    """A ball in play: the middle of it, and how far it moves a frame, y growing downwards."""

    x: int
    y: int
    dx: int
    dy: int


@dataclass(frozen=True)
class Breakout:
    """What a player sees of Breakout.

    Attributes:
        paddle: Middle of the paddle, from the left of the screen.
        ball: The ball, if there is one.
        lives: Balls left, the one in play among them.
        score: Points so far.
    """

    paddle: int
    ball: Ball | None
    lives: int
    score: int

    ACTIONS: ClassVar[Mapping[str, int]] = {"stay": 0, "fire": 1, "move right": 2, "move left": 3}
    """Texts of actions, with their numbers in the minimal action set of ALE."""
    PADDLE_Y: ClassVar[int] = 189

    @classmethod
    def read(cls, ram: Ram) -> Breakout:
        """Return what lies in the memory."""
        at = ram.astype(int)
        ball = Ball(at[99] - 48, at[101] + 11, -_signed(at[105]), _signed(at[103]))
        return cls(
            paddle=at[72] - 39,
            # 0 until the ball is served; beyond the paddle it falls for some frames more.
            ball=ball if at[101] else None,
            lives=at[57],
            score=_decimal(at[77]) + 100 * _decimal(at[76]),
        )

    def text(self) -> str:
        """Return it in words."""
        if self.ball is None:
            ball = "There is no ball: fire to serve one."
        else:
            across = _across(self.ball.x - self.paddle, "the paddle")
            below = _below(self.ball.y - self.PADDLE_Y, "it")
            ball = f"The ball is {across} and {below}, and {_flight(self.ball)}."
        return (
            f"{ball} The paddle is {_pixels(self.paddle - LEFT_WALL)} from the left wall and "
            f"{RIGHT_WALL - self.paddle} from the right one. Lives {self.lives}, "
            f"score {self.score}."
        )


@dataclass(frozen=True)
class Pong:
    """What a player, on the right, sees of Pong.

    Attributes:
        paddle: Middle of the player's paddle, from the top of the screen.
        opponent: Middle of the opponent's paddle, likewise.
        ball: The ball, if there is one.
        scored: Points of the player.
        conceded: Points of the opponent.
    """

    paddle: int
    opponent: int
    ball: Ball | None
    scored: int
    conceded: int

    ACTIONS: ClassVar[Mapping[str, int]] = {"stay": 0, "move up": 2, "move down": 3}
    """Texts of actions, with their numbers in the minimal action set of ALE."""
    PADDLE_X: ClassVar[int] = 140

    @classmethod
    def read(cls, ram: Ram) -> Pong:
        """Return what lies in the memory."""
        at = ram.astype(int)
        ball = Ball(at[49] - 48, at[54] - 12, -_signed(at[58]), _signed(at[56]))
        return cls(
            paddle=at[51] - 6,
            opponent=at[50] - 7,
            ball=ball if at[54] else None,
            scored=at[14],
            conceded=at[13],
        )

    def text(self) -> str:
        """Return it in words."""
        if self.ball is None:
            ball = "There is no ball: the next one comes by itself."
        else:
            across = _across(self.ball.x - self.PADDLE_X, "your paddle")
            below = _below(self.ball.y - self.paddle, "it")
            ball = f"The ball is {across} and {below}, and {_flight(self.ball)}."
        return (
            f"{ball} Your paddle, on the right, is {_pixels(self.paddle - CEILING)} from the top "
            f"and {GROUND - self.paddle} from the bottom; the opponent's is "
            f"{_below(self.opponent - self.paddle, 'that')}. "
            f"You {self.scored}, opponent {self.conceded}."
        )


GAMES: Mapping[str, type[Breakout] | type[Pong]] = {"breakout": Breakout, "pong": Pong}
"""Games by their names in ALE."""


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def _decimal(byte: int) -> int:
    """Return a number whose decimal digits are four bits each."""
    return 10 * (byte >> 4) + (byte & 15)


def _across(distance: int, thing: str) -> str:
    """Return ``13 pixels right of the paddle``, or ``in line with the paddle``."""
    side = "right" if distance > 0 else "left"
    return (
        f"{counted(abs(distance), 'pixel')} {side} of {thing}"
        if distance
        else f"in line with {thing}"
    )


def _below(distance: int, thing: str) -> str:
    """Return ``7 pixels below it``, ``7 pixels above it`` or ``level with it``."""
    side = "below" if distance > 0 else "above"
    return (
        f"{counted(abs(distance), 'pixel')} {side} {thing}" if distance else f"level with {thing}"
    )


def _pixels(distance: int) -> str:
    return counted(abs(distance), "pixel")


def _flight(ball: Ball) -> str:
    """Return ``moves 2 right and 1 up a frame``."""
    ways = [
        f"{abs(speed)} {positive if speed > 0 else negative}"
        for speed, positive, negative in ((ball.dx, "right", "left"), (ball.dy, "down", "up"))
        if speed
    ]
    return f"moves {' and '.join(ways)} a frame" if ways else "stands still"
