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
        angle = math.atan2(y, x)
        return (
            f"The pole points {words.degrees(abs(angle))} away from upright"
            f"{either(angle, ' on the left side', ' on the right side', '')} and "
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
    fastest1, fastest2 = (words.limit(words.number(turns * math.pi)) for turns in (4, 9))

    def tell(numbers: Sequence[float]) -> str:
        cos1, sin1, cos2, sin2, velocity1, velocity2 = numbers
        upper, lower = math.atan2(sin1, cos1), math.atan2(sin2, cos2)
        height = -math.cos(upper) - math.cos(upper + lower)
        return (
            f"The upper link points {words.degrees(abs(upper))} away from straight down"
            f"{either(upper, ' on the right side', ' on the left side', '')} and "
            f"{_rotation(words, velocity1)}{fastest1}. "
            f"The lower link is bent {words.degrees(abs(lower))} "
            f"{either(lower, 'counter-clockwise ', 'clockwise ', '')}from the upper one and "
            f"{_rotation(words, velocity2)} against it{fastest2}. "
            f"The tip is {words.number(abs(height))} m {'above' if height > 0 else 'below'} "
            f"the hinge and has to rise {words.number(max(0.0, 1 - height))} m."
        )

    return tell


def _rotation(words: Words, velocity: float) -> str:
    if velocity == 0:
        return "does not rotate"
    direction = "counter-clockwise" if velocity > 0 else "clockwise"
    return f"rotates {direction} at {words.number(abs(velocity))} rad/s"


def _aside(words: Words, distance: float) -> str:
    way = either(distance, " to the right", " to the left", "")
    return f"{words.number(abs(distance))} m{way}"
