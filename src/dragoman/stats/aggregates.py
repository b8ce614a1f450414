"""One number from the scores of many runs on one or more tasks.

The definitions are those of rliable (Agarwal et al. 2021, "Deep reinforcement learning at the
edge of the statistical precipice", arXiv:2108.13264). Every function maps ``(R,)``, ``(R, T)``
or a stack of tables ``(..., R, T)`` to an array ``(...)``, so that a bootstrap is one call.
Scores of different tasks must share a scale, such as 0 for random and 1 for the best known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from dragoman.stats.scores import Scores, as_table

Statistic: TypeAlias = Callable[[Scores], Scores]
"""A function from tables ``(..., R, T)`` to one number a table, ``(...)``."""


def mean(scores: ArrayLike) -> Scores:
    """Return the mean over runs and tasks, ``1/(RT) sum_rt x_rt``."""
    return np.asarray(as_table(scores).mean(axis=(-2, -1)))


def median(scores: ArrayLike) -> Scores:
    """Return the median over tasks of the mean over runs (Agarwal et al. 2021, section 4).

    On one task that would be the mean again, so there it is the median over runs, which
    rliable does not offer.
    """
    table = as_table(scores)
    if table.shape[-1] == 1:
        return np.asarray(np.median(table[..., 0], axis=-1))
    return np.asarray(np.median(table.mean(axis=-2), axis=-1))


def interquartile_mean(scores: ArrayLike) -> Scores:
    """Return the mean of the middle half of all ``RT`` scores (Agarwal et al. 2021, section 4.3).

    The lowest and the highest ``floor(RT/4)`` scores are cut off, whatever their task. It is
    less moved by outliers than the mean, and wastes fewer runs than the median.
    """
    table = as_table(scores)
    flat = table.reshape(*table.shape[:-2], -1)
    return np.asarray(stats.trim_mean(flat, 0.25, axis=-1), dtype=np.float64)


def optimality_gap(scores: ArrayLike, *, gamma: float = 1.0) -> Scores:
    """Return how far scores fall short of a target, ``gamma - mean(min(x, gamma))``.

    Less is better, and what exceeds ``gamma`` earns nothing (Agarwal et al. 2021, section 4.3).
    """
    return gamma - mean(np.minimum(as_table(scores), gamma))
