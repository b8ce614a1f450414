"""Pictures in plain NumPy: uint8 images ``(height, width, 3)``, coordinates from 0 to 1."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dragoman.errors import ConfigError

Image: TypeAlias = NDArray[np.uint8]
Colour: TypeAlias = tuple[int, int, int]

SIZE = 256  # pixels a side
BLACK: Colour = (0, 0, 0)
GREY: Colour = (150, 150, 150)


def check_mode(mode: str | None, known: Sequence[str]) -> None:
    """Raise a `ConfigError` unless the render mode is ``None`` or a known one."""
    if mode is not None and mode not in known:
        raise ConfigError(
            f"render_mode is {mode!r}", cure=f"choose from {', '.join(map(repr, known))} or None"
        )


def blank() -> Image:
    """Return a white image."""
    return np.full((SIZE, SIZE, 3), 255, dtype=np.uint8)


def colour(index: int) -> Colour:
    """Return a colour of its own for each of many things: hues a golden ratio apart."""
    red, green, blue = colorsys.hsv_to_rgb(index * 0.618034 % 1, 0.75, 0.85)
    return round(red * 255), round(green * 255), round(blue * 255)


def fill(image: Image, xs: Sequence[float], ys: Sequence[float], paint: Colour) -> None:
    """Fill from ``xs[0]`` to ``xs[1]`` and ``ys[0]`` to ``ys[1]``; y grows downwards."""
    height, width = image.shape[:2]
    left, right = (round(x * width) for x in xs)
    top, bottom = (round(y * height) for y in ys)
    image[max(top, 0) : max(bottom, top + 1), max(left, 0) : max(right, left + 1)] = paint


def dot(image: Image, x: float, y: float, paint: Colour, *, radius: float = 0.015) -> None:
    """Draw a square dot."""
    fill(image, (x - radius, x + radius), (y - radius, y + radius), paint)


def line(image: Image, begin: Sequence[float], end: Sequence[float], paint: Colour) -> None:
    """Draw a straight line of one pixel between two points ``(x, y)``."""
    height, width = image.shape[:2]
    xs = np.linspace(begin[0] * (width - 1), end[0] * (width - 1), 2 * SIZE).round().astype(int)
    ys = np.linspace(begin[1] * (height - 1), end[1] * (height - 1), 2 * SIZE).round().astype(int)
    image[ys, xs] = paint
