"""A stand-in for a language model that can read numbers."""

from __future__ import annotations

import re


def read_numbers(text: str) -> list[float]:
    """Return the first four numbers of a text, negative where the word "left" follows."""
    result = re.findall(r"(-?\d[\d.e-]*)( degrees left)?", text)
    numbers = [-float(number) if left else float(number) for number, left in result]
    return (numbers + [0.0] * 4)[:4]
