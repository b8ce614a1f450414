"""Numbers as a model reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_DIGITS = 15
"""From here on a number is written with an exponent."""


MOST_SHOWN = 100
"""Characters of a value in a message."""


def plain(value: Any) -> Any:
    """Return a value without NumPy's types, whose names no text should hold.

    >>> plain((np.int64(0), {"at": np.array([1, 2])}))
    (0, {'at': [1, 2]})
    """
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = [plain(item) for item in value]
        # A named tuple takes its parts one by one.
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def shown(value: Any) -> str:
    """Return a value as a message shows it: in plain types, and not at any length."""
    text = repr(plain(value))
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


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
