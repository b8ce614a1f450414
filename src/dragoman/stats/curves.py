"""Learning curves: a score at each of some environment steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import trapezoid

from dragoman.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Curve:
    """One run's score over its training, straight between the points.

    Attributes:
        steps: Environment steps, increasing, float64 ``(K,)``.
        values: Score at each, float64 ``(K,)``.

    Raises:
        ConfigError: Steps do not increase, or a number is missing.
    """

    steps: NDArray[np.float64]
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        steps, values = (np.asarray(row, dtype=np.float64) for row in (self.steps, self.values))
        if steps.ndim != 1 or steps.shape != values.shape or not len(steps):
            raise ConfigError(
                f"steps {steps.shape} and values {values.shape} are no curve",
                cure="give one value a step, at least one",
            )
        if not (np.isfinite(steps).all() and np.isfinite(values).all()):
            raise ConfigError("the curve holds NaN or infinity", cure="leave those points out")
        if steps[0] < 0 or np.any(np.diff(steps) <= 0):
            raise ConfigError(
                "the steps of the curve do not increase from 0 on",
                cure="sort the points, and keep one a step",
            )
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "values", values)


def on_grid(curves: Sequence[Curve], grid: ArrayLike) -> NDArray[np.float64]:
    """Return the curves, whatever their own steps, at the same ``G`` steps, ``(C, G)``.

    Between points the curve is straight; before the first and after the last it is flat.
    """
    steps = np.asarray(grid, dtype=np.float64)
    return np.array([np.interp(steps, curve.steps, curve.values) for curve in curves])


def area_under_curve(curve: Curve, *, budget: float, slack: float = 0.05) -> float:
    """Return the mean of the curve over the budget, ``1/b * integral from 0 to b``.

    The integral is by trapezoids, exact for a curve that is straight between its points, so it
    does not depend on how densely a run was evaluated. Before the first point the curve is
    taken as flat, and what lies beyond the budget does not count. It rewards learning early;
    GLAM's sample efficiency (Carta et al. 2023) is the same over equally spaced evaluations.

    Args:
        curve: One run.
        budget: Environment steps that every compared run was given.
        slack: Share of the budget that may be missing at the end, where the last value holds.

    Raises:
        ConfigError: The budget is not positive, or the curve ends too early.
    """
    if budget <= 0:
        raise ConfigError(f"a budget of {budget} steps is none", cure="give a positive number")
    if curve.steps[-1] < budget * (1 - slack):
        raise ConfigError(
            f"the curve ends at step {curve.steps[-1]:g} of a budget of {budget:g}",
            cure="train to the budget, or compare all runs at the shortest one's steps",
        )
    inside = curve.steps[(curve.steps > 0) & (curve.steps < budget)]
    knots = np.concatenate([[0.0], inside, [budget]])
    return float(trapezoid(on_grid([curve], knots)[0], knots) / budget)
