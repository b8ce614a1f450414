"""Numbers with their units and directions, as the sentences of the describers say them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from dragoman.describe.numbers import number_writer

DEGREES = 180 / math.pi
"""Degrees in a radian."""


@dataclass(frozen=True)
class Words:
    """How a describer writes.

    Attributes:
        number: Writes a number with the significant digits asked for.
        limits: Whether to say the limits of a value beside it.
    """

    number: Callable[[float], str]
    limits: bool

    @classmethod
    def of(cls, precision: int, limits: bool) -> Words:
        """Return words with this many significant digits."""
        return cls(number_writer(precision), limits)

    def degrees(self, radians: float) -> str:
        """Return an angle: "63.2 degrees"."""
        return f"{self.number(radians * DEGREES)} degrees"

    def turning(self, rate: float) -> str:
        """Return an angular velocity in rad/s: "turning at 12 degrees per second"."""
        return f"turning at {self.number(rate * DEGREES)} degrees per second"

    def centimetres(self, metres: float) -> str:
        """Return a length: "18 cm"."""
        return f"{self.number(metres * 100)} cm"

    def limit(self, text: str) -> str:
        """Return a limit in brackets, or nothing where limits are not asked for."""
        return f" (limit {text})" if self.limits else ""


def either(value: float, positive: str, negative: str, zero: str) -> str:
    """Return the word for the sign of a value."""
    return positive if value > 0 else negative if value < 0 else zero
