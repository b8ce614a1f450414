"""Small phrases that every text needs."""

from __future__ import annotations

from collections.abc import Iterable


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
