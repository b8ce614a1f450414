"""One number from the scores of many runs on one or more tasks.

The definitions are those of rliable (Agarwal et al. 2021, "Deep reinforcement learning at the
edge of the statistical precipice", arXiv:2108.13264). Every function maps ``(R,)``, ``(R, T)``
or a stack of tables ``(..., R, T)`` to an array ``(...)``, so that a bootstrap is one call.
Scores of different tasks must share a scale, such as 0 for random and 1 for the best known.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dragoman.errors import ConfigError

Table: TypeAlias = NDArray[np.float64]
"""float64 array ``(..., R, T)``: ``R`` runs of ``T`` tasks, any number of tables in front."""


def as_table(scores: ArrayLike, *, name: str = "scores") -> Table:
    """Return scores of shape ``(R,)``, ``(R, T)`` or ``(..., R, T)`` with both axes there.

    ``(R,)`` are the runs of one task and become ``(R, 1)``.

    Args:
        scores: Finite numbers.
        name: What to call them in an error.

    Raises:
        ConfigError: There are no runs or no tasks, or a score is NaN or infinite.
    """
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim == 1:
        table = table[:, None]
    if table.ndim < 2 or 0 in table.shape[-2:]:
        raise ConfigError(
            f"{name} have shape {np.shape(scores)}, which holds no runs of a task",
            cure="give one score a run, (R,), or one row a run and one column a task, (R, T)",
        )
    if not np.isfinite(table).all():
        # Only single tables come from outside; stacks are made here, of finite ones.
        run, task = np.argwhere(~np.isfinite(table))[0][-2:]
        raise ConfigError(
            f"{name} hold {table[..., run, task]} at run {run}, task {task}",
            cure="leave that run out, or train it again",
        )
    return table


def mean(scores: ArrayLike) -> Table:
    """Return the mean over runs and tasks, ``1/(RT) sum_rt x_rt``."""
    return np.asarray(as_table(scores).mean(axis=(-2, -1)))


def interquartile_mean(scores: ArrayLike) -> Table:
    """Return the mean of the middle half of all ``RT`` scores (Agarwal et al. 2021, section 4.3).

    The lowest and the highest ``floor(RT/4)`` scores are cut off, whatever their task. It is
    less moved by outliers than the mean, and wastes fewer runs than the median.
    """
    from scipy import stats  # takes a second to import

    table = as_table(scores)
    flat = table.reshape(*table.shape[:-2], -1)
    return np.asarray(stats.trim_mean(flat, 0.25, axis=-1), dtype=np.float64)


def probability_of_improvement(x: ArrayLike, y: ArrayLike) -> Table:
    """Return ``P(X > Y) + P(X = Y)/2``, averaged over tasks (Agarwal et al. 2021, section 4.3).

    On each task it is the share of all pairs of a run of ``x`` and a run of ``y`` that ``x``
    wins, ties counting half: the Mann-Whitney statistic ``U/(RS)``. It says how sure an
    improvement is, not how large.

    Args:
        x: ``(R,)``, ``(R, T)`` or ``(..., R, T)``.
        y: The same tasks with any number of runs, ``(S,)``, ``(S, T)`` or ``(..., S, T)``.

    Raises:
        ConfigError: The numbers of tasks differ.
    """
    ours, theirs = as_table(x, name="x"), as_table(y, name="y")
    if ours.shape[-1] != theirs.shape[-1]:
        raise ConfigError(
            f"x has {ours.shape[-1]} tasks and y has {theirs.shape[-1]}",
            cure="compare both on the same tasks",
        )
    wins, ties = np.float64(0), np.float64(0)
    # Run by run, because all pairs of all resamples at once would be R times the memory.
    for run in range(ours.shape[-2]):
        one = ours[..., run : run + 1, :]
        wins = wins + (one > theirs).sum(axis=(-2, -1))
        ties = ties + (one == theirs).sum(axis=(-2, -1))
    pairs = ours.shape[-2] * theirs.shape[-2] * ours.shape[-1]
    return np.asarray((wins + ties / 2) / pairs)
