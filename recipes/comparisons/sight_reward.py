"""A reward for MiniGrid's rooms by hand: what a model could say of a view at best."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def in_sight(texts: Sequence[str]) -> NDArray[np.float64]:
    """Return 1 where the goal is in sight, a half where an open door is, else 0, ``(B,)``."""
    return np.array([1.0 if "green goal" in text else 0.5 * ("open" in text) for text in texts])
