"""The functions that a checked program may call: numbers in, one number out, all of them floats."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Allowed:
    """A function on floats.

    Attributes:
        call: The function itself.
        least: Fewest arguments.
        most: Most arguments.
    """

    call: Callable[..., float]
    least: int = 1
    most: int = 1


def _round(value: float, digits: float = 0.0) -> float:
    # More digits than a float has round nothing, and int() keeps the count small.
    return round(value, int(max(-400.0, min(400.0, digits))))


def _clip(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _sign(value: float) -> float:
    return float((value > 0) - (value < 0))


def _heaviside(value: float, at_zero: float) -> float:
    return at_zero if value == 0 else 1.0 if value > 0 else 0.0


MANY = 100

PLAIN: Mapping[str, Allowed] = {
    "abs": Allowed(abs),
    "bool": Allowed(lambda value: 1.0 if value else 0.0),
    "float": Allowed(float),
    "int": Allowed(lambda value: float(math.trunc(value))),
    "max": Allowed(max, 2, MANY),
    "min": Allowed(min, 2, MANY),
    "pow": Allowed(math.pow, 2, 2),
    "round": Allowed(_round, 1, 2),
}
"""Python's own functions, by name."""

OF_ONE_NUMBER = (
    *(
        "acos",
        "acosh",
        "asin",
        "asinh",
        "atan",
        "atanh",
        "cos",
        "cosh",
        "sin",
        "sinh",
        "tan",
        "tanh",
    ),
    *(
        "degrees",
        "erf",
        "erfc",
        "exp",
        "expm1",
        "fabs",
        "log10",
        "log1p",
        "log2",
        "radians",
        "sqrt",
    ),
)

MATH: Mapping[str, Allowed] = {
    **{name: Allowed(getattr(math, name)) for name in OF_ONE_NUMBER},
    "atan2": Allowed(math.atan2, 2, 2),
    "ceil": Allowed(lambda value: float(math.ceil(value))),
    "copysign": Allowed(math.copysign, 2, 2),
    "floor": Allowed(lambda value: float(math.floor(value))),
    "fmod": Allowed(math.fmod, 2, 2),
    "hypot": Allowed(math.hypot, 1, MANY),
    "log": Allowed(math.log, 1, 2),
    "pow": Allowed(math.pow, 2, 2),
    "trunc": Allowed(lambda value: float(math.trunc(value))),
}
"""Functions of the module math, by name."""

NUMPY: Mapping[str, Allowed] = {
    **{name: MATH[name] for name in MATH if name not in ("erf", "erfc", "fmod", "pow", "log")},
    "abs": PLAIN["abs"],
    "absolute": PLAIN["abs"],
    "arccos": MATH["acos"],
    "arcsin": MATH["asin"],
    "arctan": MATH["atan"],
    "arctan2": MATH["atan2"],
    "clip": Allowed(_clip, 3, 3),
    "float32": PLAIN["float"],
    "float64": PLAIN["float"],
    "heaviside": Allowed(_heaviside, 2, 2),
    "hypot": Allowed(math.hypot, 2, 2),
    "log": Allowed(math.log),
    "maximum": Allowed(max, 2, 2),
    "minimum": Allowed(min, 2, 2),
    "power": Allowed(math.pow, 2, 2),
    "sign": Allowed(_sign),
    "square": Allowed(lambda value: value * value),
}
"""Functions of NumPy that mean the same for one number, by name."""

MODULES: Mapping[str, Mapping[str, Allowed]] = {"math": MATH, "numpy": NUMPY}

CONSTANTS: Mapping[str, float] = {"e": math.e, "pi": math.pi, "tau": math.tau}
"""Numbers of either module, by name."""
