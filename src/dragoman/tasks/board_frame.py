"""Pictures of boards: a grid of tiles, each a square with a disc, a label, both or neither."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from dragoman.tasks import picture as drawing
from dragoman.tasks.picture import BLACK, Colour, Image

WHITE: Colour = (255, 255, 255)
EDGE: Colour = (120, 110, 100)
MARGIN = 2  # pixels between tiles


@dataclass(frozen=True)
class Tile:
    """One square of a board.

    Attributes:
        ground: Colour of the square.
        label: A few letters in the middle.
        disc: Colour of a disc below the label, if there is one.
        ink: Colour of the label.
    """

    ground: Colour
    label: str = ""
    disc: Colour | None = None
    ink: Colour = BLACK


def draw(rows: Sequence[Sequence[Tile]]) -> Image:
    """Return a picture of rows of tiles, uint8 ``(256, 256, 3)``, in its middle."""
    height, width = len(rows), len(rows[0])
    side = drawing.SIZE // max(height, width)
    top, left = (drawing.SIZE - side * height) // 2, (drawing.SIZE - side * width) // 2
    picture = Pillow.new("RGB", (drawing.SIZE, drawing.SIZE), EDGE)
    brush = ImageDraw.Draw(picture)
    for i, row in enumerate(rows):
        for j, tile in enumerate(row):
            _tile(brush, tile, left + j * side, top + i * side, side)
    return np.asarray(picture, dtype=np.uint8)


def _tile(brush: ImageDraw.ImageDraw, tile: Tile, left: int, top: int, side: int) -> None:
    right, bottom = left + side - MARGIN, top + side - MARGIN
    brush.rectangle((left, top, right, bottom), fill=tile.ground)
    if tile.disc is not None:
        inset = side // 8
        place = (left + inset, top + inset, right - inset, bottom - inset)
        brush.ellipse(place, fill=tile.disc, outline=EDGE)
    if tile.label:
        longest = max(map(len, tile.label.split("\n")))
        size = min(0.55 * side, 1.5 * side / longest, 60)
        middle = ((left + right) / 2, (top + bottom) / 2)
        font = ImageFont.load_default(size)
        brush.text(middle, tile.label, fill=tile.ink, font=font, anchor="mm", align="center")
