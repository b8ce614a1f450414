"""How often a run of one arm beats a run of another."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dragoman.errors import ConfigError
from dragoman.stats.scores import Scores, as_table


def probability_of_improvement(x: ArrayLike, y: ArrayLike) -> Scores:
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
