"""Numbers as a model reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_DIGITS = 15
"""From here on a number is written with an exponent."""


def array_of(value: Any) -> NDArray[Any]:
    """Return a value as an array, of no numbers where its parts differ in shape."""
    try:
        return np.asarray(value)
    except (ValueError, TypeError, OverflowError):
        return np.asarray(None)


def number_writer(precision: int) -> Callable[[float], str]:
    """Return a function that writes numbers with ``precision`` significant digits.

    >>> write = number_writer(3)
    >>> write(0.01953), write(-0.0), write(1234.5), write(2.5e-7)
    ('0.0195', '0', '1230', '2.5e-07')
    """

    def write(number: float) -> str:
        text = f"{number:.{precision}g}"
        if text == "-0":
            return "0"
        # The format turns to exponents as soon as a number has more digits than the precision.
        if "e+" in text and int(text.partition("e+")[2]) < MOST_DIGITS:
            return str(int(float(text)))
        return text

    return write
