"""A potential for the open lake by hand: what a model could say of a square at best."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def nearness(texts: Sequence[str]) -> NDArray[np.float64]:
    """Return from 0 in the first corner to 1 in the last, ``(B,)``, by the steps that are left."""
    numbers = [[int(number) for number in re.findall(r"\d+", text)] for text in texts]
    return np.array(
        [(row + column) / (rows + columns - 2) for row, column, rows, columns in numbers]
    )
