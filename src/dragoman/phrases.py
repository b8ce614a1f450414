"""Small phrases that every text needs, and values as messages show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

MOST_SHOWN = 100
"""Characters of a value in a message."""


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun; give the plural unless it is the noun and an s.

    >>> counted(1, "hour"), counted(3, "hour"), counted(2, "box", "boxes")
    ('1 hour', '3 hours', '2 boxes')
    """
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def listed(parts: Iterable[str]) -> str:
    """Return parts as one phrase.

    >>> listed(["up"]), listed(["up", "left"]), listed(["up", "left", "right"])
    ('up', 'up and left', 'up, left and right')
    """
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


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
