"""Sentences for Gymnasium's classic control tasks, from their observations alone.

The goals that they name stand in the documentation of the tasks: who plays them may know them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from dragoman.describe.families.family import Family
from dragoman.describe.features import Feature
from dragoman.describe.words import Words, either

VALLEY = -math.pi / 6
"""Where the mountain car's valley is lowest: its height is sin(3x)."""
WALL = -1.2
"""Where the mountain car is stopped on the left."""


class CartPole(Family):
    """A pole on a cart; the documentation names its numbers."""

    directions: ClassVar[Mapping[str, tuple[str, str]]] = {"pole angle": ("right", "left")}


class Pendulum(Family):
    """The cosine and sine of an angle, zero upright, and its velocity in rad/s."""

    sizes = (3,)

    def sentences(self, words: Words, numbers: Sequence[float]) -> str:
        """Return where the pole points and how it rotates."""
        x, y, velocity = numbers
        angle = math.atan2(y, x)
        return (
            f"The pole points {words.degrees(abs(angle))} away from upright"
            f"{either(angle, ' on the left side', ' on the right side', '')} and "
            f"{_rotation(words, velocity)}{words.limit('8')}."
        )


class MountainCar(Family):
    """A position in metres and a velocity in metres a step.

    Args:
        flag: Position of the goal.
    """

    sizes = (2,)
    action_features = (Feature("force on the car, to the right"),)

    def __init__(self, flag: float) -> None:
        self.flag = flag

    def sentences(self, words: Words, numbers: Sequence[float]) -> str:
        """Return where the car is, how it moves, and how far the flag and the wall are."""
        position, velocity = numbers
        side = either(position - VALLEY, "right of", "left of", "from")
        motion = either(velocity, "moves to the right", "moves to the left", "stands still")
        speed = f" at {words.number(abs(velocity))} m a step" if velocity else ""
        return (
            f"The car is {words.number(abs(position - VALLEY))} m {side} the bottom of the "
            f"valley and {motion}{speed}{words.limit('0.07')}. "
            f"The flag is {_aside(words, self.flag - position)}. "
            f"The wall is {_aside(words, WALL - position)}."
        )


class Acrobot(Family):
    """Two links of 1 m: cosine and sine of both angles, and their velocities in rad/s.

    The first angle is zero when its link hangs down, the second when the links are in line.
    """

    sizes = (6,)

    def sentences(self, words: Words, numbers: Sequence[float]) -> str:
        """Return where both links point, how they rotate, and how high the tip is."""
        cos1, sin1, cos2, sin2, velocity1, velocity2 = numbers
        fastest1, fastest2 = (words.limit(words.number(turns * math.pi)) for turns in (4, 9))
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


def _rotation(words: Words, velocity: float) -> str:
    if velocity == 0:
        return "does not rotate"
    direction = "counter-clockwise" if velocity > 0 else "clockwise"
    return f"rotates {direction} at {words.number(abs(velocity))} rad/s"


def _aside(words: Words, distance: float) -> str:
    way = either(distance, " to the right", " to the left", "")
    return f"{words.number(abs(distance))} m{way}"
