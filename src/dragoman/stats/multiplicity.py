"""Corrections for asking many questions of the same data."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dragoman.errors import ConfigError


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return p-values adjusted by Holm (1979), in the order given.

    Sorted upwards, ``q_(i) = max over j <= i of min((m - j + 1) p_(j), 1)``. Rejecting where
    ``q <= alpha`` keeps the chance of any false rejection among all ``m`` at most ``alpha``,
    however the tests depend on each other.

    Args:
        p_values: ``(m,)`` numbers in [0, 1].

    Raises:
        ConfigError: They are not one row of probabilities.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not np.all((p >= 0) & (p <= 1)):
        raise ConfigError(
            f"{p_values!r} is not one row of p-values", cure="give numbers from 0 to 1"
        )
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def holm_levels(tests: int, alpha: float) -> NDArray[np.float64]:
    """Return what the p-values, sorted upwards, must not exceed for Holm to reject all.

    They are ``alpha/m, alpha/(m - 1), ..., alpha``.
    """
    return alpha / np.arange(tests, 0, -1)
