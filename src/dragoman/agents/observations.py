"""Observations as rows of name and value, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dragoman.agents.recording import Rows

MOST_ROWS = 24
"""Numbers that get a row each; more stand in one."""


def rows_of(value: Any, names: Sequence[str] = ()) -> Rows:
    """Return an observation as rows.

    >>> rows_of({"level": 3, "next": np.array([0.25, 1.0])})
    (('level', '3'), ('next 0', '0.25'), ('next 1', '1'))

    Args:
        value: The observation, of any space.
        names: What the numbers of a vector are called, if they are.
    """
    if isinstance(value, dict):
        return _parts(value.items())
    if isinstance(value, tuple):
        return _parts((f"part {i + 1}", part) for i, part in enumerate(value))
    if isinstance(value, str):
        return (("", value),)
    array = np.asarray(value)
    if array.ndim == 1 and array.dtype.kind in "fiub" and 0 < len(array) <= MOST_ROWS:
        given = names if len(names) == len(array) else [str(i) for i in range(len(array))]
        return tuple((name, _number(one)) for name, one in zip(given, array, strict=True))
    return (("", _number(array) if array.ndim == 0 else _whole(array)),)


def _parts(parts: Any) -> Rows:
    return tuple(
        (f"{key} {name}".strip(), text) for key, part in parts for name, text in rows_of(part)
    )


def _number(value: Any) -> str:
    return f"{value:.4g}" if np.asarray(value).dtype.kind == "f" else str(value)


def _whole(array: NDArray[Any]) -> str:
    if array.dtype == np.uint8 and array.ndim >= 2:
        size = " x ".join(map(str, array.shape))
        return f"picture of {size}, values {array.min()} to {array.max()}"
    # Without the names of NumPy's types.
    return np.array2string(array, precision=4, suppress_small=True, threshold=64)
