"""How long runs take to reach a threshold, when some never do.

A run that ends below the threshold is not slow but *censored*: it took more steps than it had.
Leaving it out, or counting its budget as its time, would flatter the arm that fails most.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def median_time(times: Sequence[float], is_reached: Sequence[bool]) -> float:
    """Return the first time by which half of the runs have reached the threshold.

    By the product-limit estimate ``prod over t_i <= t of (1 - d_i/n_i)`` of the share still below
    it: ``d_i`` runs reach it at ``t_i``, and ``n_i`` had neither reached it nor ended before
    (Kaplan and Meier 1958).

    Args:
        times: When each run reached the threshold, or else ended.
        is_reached: Whether it did.

    Returns:
        Infinity if the estimate stays above one half.
    """
    from scipy import stats  # takes a second to import

    at, reached = np.asarray(times, dtype=np.float64), np.asarray(is_reached, dtype=np.bool_)
    censored = stats.CensoredData(uncensored=at[reached], right=at[~reached])
    staircase = stats.ecdf(censored).sf
    # Products of fractions such as 23/24 * 22/23 * ... * 12/13 miss one half by a bit.
    there = np.asarray(staircase.probabilities) <= 0.5 + 1e-12
    return float(staircase.quantiles[there.argmax()]) if there.any() else np.inf
