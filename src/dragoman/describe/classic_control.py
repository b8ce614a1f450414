"""Sentences for Gymnasium's classic control tasks, from their observations alone.

The goals that they name stand in the documentation of the tasks: who plays them may know them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from dragoman.describe.words import Teller, Words, either

VALLEY = -math.pi / 6
"""Where the mountain car's valley is lowest: its height is sin(3x)."""
WALL = -1.2
"""Where the mountain car is stopped on the left."""


def pendulum(words: Words) -> Teller:
    """Tell of the cosine and sine of an angle, zero upright, and its velocity in rad/s."""

    def tell(numbers: Sequence[float]) -> str:
        x, y, velocity = numbers
        return (
            f"The pole points {_lean(words, math.atan2(y, x), 'away from upright', -1)} and "
            f"{_rotation(words, velocity)}{words.limit('8')}."
        )

    return tell


def mountain_car(flag: float) -> Callable[[Words], Teller]:
    """Return what tells of a position in metres and a velocity in metres a step.

    Args:
        flag: Position of the goal.
    """

    def with_words(words: Words) -> Teller:
        def tell(numbers: Sequence[float]) -> str:
            position, velocity = numbers
            side = either(position - VALLEY, "right of", "left of", "from")
            motion = either(velocity, "moves to the right", "moves to the left", "stands still")
            speed = f" at {words.number(abs(velocity))} m a step" if velocity else ""
            return (
                f"The car is {words.number(abs(position - VALLEY))} m {side} the bottom of the "
                f"valley and {motion}{speed}{words.limit('0.07')}. "
                f"The flag is {_aside(words, flag - position)}. "
                f"The wall is {_aside(words, WALL - position)}."
            )

        return tell

    return with_words


def acrobot(words: Words) -> Teller:
    """Tell of two links of 1 m: cosine and sine of both angles, and their velocities in rad/s.

    The first angle is zero when its link hangs down, the second when the links are in line.
    """

    def tell(numbers: Sequence[float]) -> str:
        cos1, sin1, cos2, sin2, velocity1, velocity2 = numbers
        height = -cos1 - (cos1 * cos2 - sin1 * sin2)
        return (
            f"The upper link points {_lean(words, math.atan2(sin1, cos1), 'away from down', 1)} "
            f"and {_rotation(words, velocity1)}{words.limit(words.number(4 * math.pi))}. "
            f"The lower link is bent {_lean(words, math.atan2(sin2, cos2), 'from its line', 0)} "
            f"and {_rotation(words, velocity2)} against it{words.limit(words.number(9 * math.pi))}. "
            f"The tip is {words.number(abs(height))} m {'above' if height > 0 else 'below'} "
            f"the hinge and has to rise {words.number(max(0.0, 1 - height))} m."
        )

    return tell


def _lean(words: Words, angle: float, reference: str, right: int) -> str:
    """Return an angle that is positive counter-clockwise.

    Args:
        words: How to write.
        angle: In radians.
        reference: What it is measured from.
        right: 1 where counter-clockwise leads to the right, -1 to the left, 0 to say itself.
    """
    if right == 0:
        side = either(angle, " counter-clockwise", " clockwise", "")
    else:
        side = either(angle * right, " on the right side", " on the left side", "")
    return f"{words.degrees(abs(angle))} {reference}{side}"


def _rotation(words: Words, velocity: float) -> str:
    if velocity == 0:
        return "does not rotate"
    direction = "counter-clockwise" if velocity > 0 else "clockwise"
    return f"rotates {direction} at {words.number(abs(velocity))} rad/s"


def _aside(words: Words, distance: float) -> str:
    way = either(distance, " to the right", " to the left", "")
    return f"{words.number(abs(distance))} m{way}"
