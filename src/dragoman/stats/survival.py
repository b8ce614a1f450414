"""How long runs take to reach a threshold, when some never do.

A run that ends below the threshold is not slow but *censored*: it took more steps than it had.
Leaving it out, or counting its budget as its time, would flatter the arm that fails most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from dragoman.errors import ConfigError
from dragoman.stats.curves import Curve


@dataclass(frozen=True, eq=False)
class Times:
    """Steps to the threshold of ``R`` runs.

    Attributes:
        steps: Steps at which each run reached the threshold, or else ended, float64 ``(R,)``.
        is_reached: Whether it did, bool ``(R,)``.
    """

    steps: NDArray[np.float64]
    is_reached: NDArray[np.bool_]

    def __post_init__(self) -> None:
        steps = np.asarray(self.steps, dtype=np.float64)
        is_reached = np.asarray(self.is_reached, dtype=np.bool_)
        if steps.ndim != 1 or steps.shape != is_reached.shape or not len(steps):
            raise ConfigError(
                f"steps {steps.shape} and is_reached {is_reached.shape} do not fit",
                cure="give both for every run, at least one",
            )
        if not np.isfinite(steps).all() or np.any(steps < 0):
            raise ConfigError(
                "a time is negative, NaN or infinite",
                cure="give the steps at which a run ended as its time, with is_reached False",
            )
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "is_reached", is_reached)

    @property
    def censored(self) -> stats.CensoredData:
        """The same, as SciPy takes it."""
        return stats.CensoredData(
            uncensored=self.steps[self.is_reached], right=self.steps[~self.is_reached]
        )


@dataclass(frozen=True, eq=False)
class Survival:
    """Share of runs still below the threshold: 1 until ``steps[0]``, then a staircase.

    Attributes:
        steps: Steps at which runs reached the threshold or ended, increasing, ``(K,)``.
        shares: Share still below it from then on, ``(K,)``.
    """

    steps: NDArray[np.float64]
    shares: NDArray[np.float64]

    @property
    def median(self) -> float:
        """First step by which half of the runs are there; infinity if the estimate stays above."""
        # Products of fractions such as 23/24 * 22/23 * ... * 12/13 miss one half by a bit.
        there = self.shares <= 0.5 + 1e-12
        return float(self.steps[there.argmax()]) if there.any() else np.inf

    def restricted_mean(self, horizon: float) -> float:
        """Return the mean of ``min(time, horizon)``: the area under the staircase up to there.

        Raises:
            ConfigError: The horizon lies beyond the last run, where nothing is known.
        """
        is_known = horizon <= self.steps[-1] or self.shares[-1] == 0
        if horizon <= 0 or not is_known:
            raise ConfigError(
                f"horizon {horizon:g} lies outside the {self.steps[-1]:g} steps observed",
                cure="use the budget of the shortest arm",
            )
        inside = self.steps < horizon
        knots = np.concatenate([[0.0], self.steps[inside], [horizon]])
        return float(np.diff(knots) @ np.concatenate([[1.0], self.shares[inside]]))


def steps_to_threshold(curves: Sequence[Curve], threshold: float) -> Times:
    """Return when each curve first stands at or above a threshold, on its own steps.

    Between evaluations nothing was seen, so the time is that of the evaluation that showed it.
    """
    above = [curve.values >= threshold for curve in curves]
    return Times(
        np.array(
            [
                curve.steps[hit.argmax()] if hit.any() else curve.steps[-1]
                for curve, hit in zip(curves, above, strict=True)
            ]
        ),
        np.array([hit.any() for hit in above]),
    )


def kaplan_meier(times: Times) -> Survival:
    """Return the product-limit estimate ``prod over t_i <= t of (1 - d_i/n_i)``.

    ``d_i`` runs reach the threshold at ``t_i``, and ``n_i`` had neither reached it nor ended
    before (Kaplan and Meier 1958).
    """
    staircase = stats.ecdf(times.censored).sf
    return Survival(np.asarray(staircase.quantiles), np.asarray(staircase.probabilities))


def log_rank_p_value(x: Times, y: Times) -> float:
    """Return the two-sided p-value of equal times in two arms (Mantel 1966).

    Where both arms are the same at every step, as when no run reaches the threshold, it is 1.
    The chi-square law behind it is rough below about ten runs an arm.
    """
    # SciPy divides by the statistic's variance, which is then zero.
    if not (x.is_reached.any() or y.is_reached.any()):
        return 1.0
    with np.errstate(invalid="ignore", divide="ignore"):
        test = stats.logrank(x.censored, y.censored)
    return float(test.pvalue) if np.isfinite(test.statistic) else 1.0
