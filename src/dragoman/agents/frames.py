"""Rendered frames as small pictures."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LARGEST = (480, 400)
"""Width and height in pixels that a frame is scaled down to fit."""

FRAME_BYTES = 34_000
"""No frame is larger. In base64, 200 of them are 9.1 MB, which keeps a page under 10 MB."""

QUALITIES = (80, 60, 40, 20)


def encode_frame(pixels: NDArray[np.uint8]) -> bytes:
    """Return a frame as WebP of at most `FRAME_BYTES` bytes.

    Drawings keep every pixel: they are small without loss. Photographs lose quality first and
    size after that.

    Args:
        pixels: Red, green, blue from 0 to 255, uint8 ``(height, width, 3)``.
    """
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail(LARGEST, Image.Resampling.LANCZOS)
    encoded = _webp(image, lossless=True)
    while len(encoded) > FRAME_BYTES:
        for quality in QUALITIES:
            encoded = _webp(image, quality=quality)
            if len(encoded) <= FRAME_BYTES:
                break
        else:
            image = image.reduce(2)
    return encoded


def _webp(image: Image.Image, **settings: int) -> bytes:
    file = io.BytesIO()
    # Method 2 of 0-6 is twice as fast as the default and the pictures are hardly larger.
    image.save(file, "WEBP", method=2, **settings)
    return file.getvalue()
