"""A picture of a tidy house: coloured squares for objects, framed columns for places.

Colours come from the names, so a picture says no more than the text does: top the places with what
was put into them, in the middle what is held, below what lies on the floor.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Frame: TypeAlias = NDArray[np.uint8]

HEIGHT, WIDTH = 240, 320
SHELVES, HAND, FLOOR = 20, 160, 205
"""Top of each of the three zones, in pixels."""
SIDE = 14
"""Side of an object, in pixels; as tall as a place's column has room for ten of."""
WALL, GROUND, INSIDE = (236, 232, 222), (190, 160, 120), (255, 255, 255)


def draw(
    places: Sequence[str], floor: Sequence[str], held: str | None, put_away: Mapping[str, str]
) -> Frame:
    """Return the picture of a house, uint8 ``(240, 320, 3)``."""
    frame = np.full((HEIGHT, WIDTH, 3), WALL, dtype=np.uint8)
    frame[FLOOR - 5 :] = GROUND
    contents: dict[str, list[str]] = {place: [] for place in places}
    for name, place in put_away.items():
        contents[place].append(name)
    for (place, names), left in zip(contents.items(), _columns(len(places)), strict=True):
        frame[SHELVES - 8 : HAND - 5, left - 2 : left + SIDE + 2] = _colour(place)
        frame[SHELVES - 2 : HAND - 7, left - 1 : left + SIDE + 1] = INSIDE
        for i, name in enumerate(names):
            _square(frame, SHELVES + i * (SIDE - 1), left, name)
    if held is not None:
        _square(frame, HAND, (WIDTH - SIDE) // 2, held)
    for name, left in zip(floor, _columns(len(floor)), strict=True):
        _square(frame, FLOOR, left, name)
    return frame


def _columns(count: int) -> list[int]:
    """Return the left edges of ``count`` squares spread over the width."""
    return [int((i + 0.5) * WIDTH / count - SIDE / 2) for i in range(count)]


def _square(frame: Frame, top: int, left: int, name: str) -> None:
    frame[top : top + SIDE - 2, left : left + SIDE] = _colour(name)


def _colour(name: str) -> tuple[int, int, int]:
    code = zlib.crc32(name.encode())
    return code & 0xDF, code >> 8 & 0xDF, code >> 16 & 0xDF
