"""Is one arm better than another, run for run with the same seeds?

The test is the sign-flip test of the paired differences (Fisher 1935, "The design of
experiments", section 21). If the arms are exchangeable under a seed, as an arm and a placebo
with the same effect are, each difference is as likely to have the opposite sign, so all
``2^n`` patterns of signs are equally likely, and the p-value is the share of them whose mean is
at least the one seen. It needs neither normal scores nor equal variances over seeds, where the
t-test needs the former and the Wilcoxon test tests something other than the mean; it is exact
for the handful of seeds that reinforcement learning affords.

Its price is a floor: no ``n`` seeds give a p-value below ``2^-n``, one-sided: 0.031 for 5,
0.001 for 10.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dragoman.errors import ConfigError
from dragoman.stats import aggregates
from dragoman.stats.bootstrap import Interval, Method, bootstrap_interval
from dragoman.stats.scores import Scores, as_table

Alternative: TypeAlias = Literal["greater", "less", "two-sided"]
"""What would be evidence: a positive difference, a negative one, or either."""

EXACT = 16  # differences up to which all patterns of signs are tried
FLIPS = 19_999  # patterns drawn beyond; with the one seen they make 20 000
CHUNK = 4_000_000  # numbers in one array of flipped statistics, which bounds memory
ROUNDING = 1e-12  # of the sum of absolute differences: sums in another order are still ties


@dataclass(frozen=True)
class PairedDifference:
    """How far one arm stands above another.

    Attributes:
        interval: The difference with its paired bootstrap interval.
        p_value: Of no difference, by the test that was asked for.
    """

    interval: Interval
    p_value: float


def smallest_p_value(units: int) -> float:
    """Return the smallest one-sided p-value that ``n`` paired differences can give, ``2^-n``."""
    return 2.0**-units if units <= EXACT else 1 / (FLIPS + 1)


def sign_flip_p_value(
    differences: ArrayLike,
    *,
    alternative: Alternative = "greater",
    generator: np.random.Generator | None = None,
) -> NDArray[np.float64]:
    """Return the sign-flip p-value of the mean of paired differences.

    All ``2^n`` patterns are tried for up to 16 differences; beyond, 19 999 are drawn and the
    one seen is counted with them, ``(1 + hits)/20 000``, which keeps the test exact (Phipson and
    Smyth 2010, "Permutation p-values should never be zero").

    Args:
        differences: ``(n,)``, or any number of such rows, ``(..., n)``. Differences of ``R``
            seeds on ``T`` tasks are ``n = RT`` independent ones.
        alternative: ``"greater"`` asks for evidence of a positive mean.
        generator: Source of the patterns beyond 16 differences.

    Returns:
        One p-value a row, ``(...)``; 1 where all differences are zero.

    Raises:
        ConfigError: There are no differences, or one is NaN or infinite.
    """
    rows = np.asarray(differences, dtype=np.float64)
    if rows.ndim < 1 or not rows.shape[-1] or not np.isfinite(rows).all():
        raise ConfigError(
            f"differences of shape {rows.shape} are empty, or hold NaN or infinity",
            cure="give one finite number a pair of runs, on the seeds that both arms have",
        )
    flat = rows.reshape(-1, rows.shape[-1])
    if alternative == "less":
        flat = -flat
    signs, extra = _signs(flat.shape[1], generator)
    signs = signs.astype(np.float64)
    p_values = np.empty(len(flat))
    chunk = max(CHUNK // len(signs), 1)
    for start in range(0, len(flat), chunk):
        part = flat[start : start + chunk]
        flipped, seen = part @ signs.T, part.sum(axis=1)
        if alternative == "two-sided":
            flipped, seen = np.abs(flipped), np.abs(seen)
        ties = ROUNDING * np.abs(part).sum(axis=1)
        hits = (flipped >= (seen - ties)[:, None]).sum(axis=1)
        p_values[start : start + chunk] = (hits + extra) / (len(signs) + extra)
    return p_values.reshape(rows.shape[:-1])


def swap_p_value(
    x: ArrayLike,
    y: ArrayLike,
    statistic: aggregates.Statistic,
    *,
    alternative: Alternative = "greater",
    generator: np.random.Generator | None = None,
) -> float:
    """Return the permutation p-value of ``statistic(x) - statistic(y)`` for paired runs.

    The two runs of a seed change arms, in all ways or in 19 999 drawn ones. For the mean this
    is the sign-flip test. The interquartile mean trims each arm by itself, so what both owe to
    a seed does not cancel, and the test finds less the more the seeds differ.

    Args:
        x: ``(R,)`` or ``(R, T)``.
        y: The same seeds and tasks.
        statistic: From tables ``(..., R, T)`` to one number a table.
        alternative: ``"greater"`` asks for evidence that ``x`` is higher.
        generator: Source of the swaps beyond 16 pairs.

    Raises:
        ConfigError: The shapes differ.
    """
    ours, theirs = _pair(x, y)
    signs, extra = _signs(ours.size, generator)
    direction = -1.0 if alternative == "less" else 1.0
    seen = direction * (statistic(ours) - statistic(theirs))
    ties = ROUNDING * np.abs(ours - theirs).sum()
    hits = 0
    chunk = max(CHUNK // ours.size, 1)
    for start in range(0, len(signs), chunk):
        is_kept = signs[start : start + chunk].reshape(-1, *ours.shape) > 0
        swapped = direction * (
            statistic(np.where(is_kept, ours, theirs)) - statistic(np.where(is_kept, theirs, ours))
        )
        if alternative == "two-sided":
            swapped, seen = np.abs(swapped), np.abs(seen)
        hits += int((swapped >= seen - ties).sum())
    return (hits + extra) / (len(signs) + extra)


def paired_difference(
    x: ArrayLike,
    y: ArrayLike,
    *,
    generator: np.random.Generator,
    statistic: aggregates.Statistic = aggregates.mean,
    alternative: Alternative = "two-sided",
    method: Method = "bca",
    level: float = 0.95,
    resamples: int = 50_000,
) -> PairedDifference:
    """Return ``statistic(x) - statistic(y)`` with a paired interval and a p-value.

    Both arms' runs are resampled by the same seeds; the p-value is that of `sign_flip_p_value`
    for the mean and of `swap_p_value` for other statistics.

    Args:
        x: ``(R,)`` or ``(R, T)``.
        y: The same seeds and tasks.
        generator: Source of resamples and flips.
        statistic: `aggregates.mean`, `aggregates.interquartile_mean` or another.
        alternative: Side of the test; the interval always has two.
        method: As of `bootstrap_interval`.
        level: As of `bootstrap_interval`.
        resamples: As of `bootstrap_interval`.

    Raises:
        ConfigError: The shapes differ, or an option is outside its range.
    """
    ours, theirs = _pair(x, y)
    if statistic is aggregates.mean:
        flat = (ours - theirs).reshape(-1)
        p_value = float(sign_flip_p_value(flat, alternative=alternative, generator=generator))
    else:
        p_value = swap_p_value(
            ours, theirs, statistic, alternative=alternative, generator=generator
        )
    interval = bootstrap_interval(
        ours,
        theirs,
        statistic=lambda ours, theirs: statistic(ours) - statistic(theirs),
        generator=generator,
        paired=True,
        method=method,
        level=level,
        resamples=resamples,
    )
    return PairedDifference(interval, p_value)


def _pair(x: ArrayLike, y: ArrayLike) -> tuple[Scores, Scores]:
    ours, theirs = as_table(x, name="x"), as_table(y, name="y")
    if ours.shape != theirs.shape or ours.ndim != 2:
        raise ConfigError(
            f"x {ours.shape} and y {theirs.shape} are no pairs of runs",
            cure="give the same seeds and tasks of both, in the same order",
        )
    return ours, theirs


def _signs(units: int, generator: np.random.Generator | None) -> tuple[NDArray[np.int8], int]:
    """Return patterns of signs ``(P, n)``, and how many more to count as seen."""
    if units <= EXACT:
        return _all_signs(units), 0
    if generator is None:
        raise ConfigError(
            f"the signs of {units} differences are too many to try all, so some are drawn",
            cure="give a generator, such as numpy.random.default_rng(0)",
        )
    return 1 - 2 * generator.integers(0, 2, size=(FLIPS, units), dtype=np.int8), 1


@lru_cache(maxsize=EXACT)
def _all_signs(units: int) -> NDArray[np.int8]:
    """Return all ``2^n`` patterns of signs, the one without a flip first, ``(2^n, n)``."""
    bits = (np.arange(2**units)[:, None] >> np.arange(units)) & 1
    signs = (1 - 2 * bits).astype(np.int8)
    signs.flags.writeable = False
    return signs
