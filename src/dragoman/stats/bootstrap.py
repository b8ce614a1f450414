"""Intervals by the stratified bootstrap.

Runs are drawn again, with replacement, within each task: other seeds on the same tasks (Agarwal
et al. 2021, section 4.2). Of several samples the runs are drawn independently or, if they are
paired by seed, together, which keeps what the arms owe to the seed out of their difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dragoman.errors import ConfigError
from dragoman.stats.aggregates import Table, as_table

Method: TypeAlias = Literal["percentile", "bca"]
"""How resampled statistics become an interval."""

RESAMPLES = 50_000
CHUNK = 4_000_000  # numbers in one array of resamples, which bounds memory

# Resamples that merely reorder the runs differ from the estimate in the last bits.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Interval:
    """An estimate between its limits; prints as ``0.71 [0.64, 0.78]``.

    Attributes:
        estimate: The statistic of the scores themselves.
        low: Lower limit.
        high: Upper limit.
        level: Share of experiments whose interval should hold the truth.
    """

    estimate: float
    low: float
    high: float
    level: float = 0.95

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Interval:
        """Return an interval from its fields, of which JSON writes infinite ones as null."""
        low, high = (data["low"], data["high"])
        return cls(
            data["estimate"],
            -np.inf if low is None else low,
            np.inf if high is None else high,
            data["level"],
        )

    def __str__(self) -> str:
        # A single run says nothing about the spread, so its interval has no ends.
        is_known = np.isfinite([self.low, self.high]).all()
        ends = f" [{number(self.low)}, {number(self.high)}]" if is_known else ""
        return f"{number(self.estimate)}{ends}"


def number(value: float) -> str:
    """Return ``0.00123``, ``12.3`` or ``12,345``: three digits, or all before the point."""
    return f"{value:,.3g}" if abs(value) < 999.5 else f"{value:,.0f}"


def bootstrap_interval(
    *samples: ArrayLike,
    statistic: Callable[..., Table],
    generator: np.random.Generator,
    paired: bool = False,
    method: Method = "bca",
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> Interval:
    """Return the bootstrap interval of a statistic of one or more samples.

    ``percentile`` takes the quantiles ``(1 - level)/2`` and ``(1 + level)/2`` of the resampled
    statistics. ``bca`` (Efron 1987, "Better bootstrap confidence intervals") moves those
    quantiles to ``Phi(z0 + (z0 + z)/(1 - a (z0 + z)))``, where ``z0`` is the normal quantile of
    the share of resamples below the estimate, and the acceleration ``a`` is the skewness of the
    jackknife, one stratum a task and an independent sample.

    Nothing is ever NaN: where all resamples agree the interval has no width, an estimate
    outside all resamples counts as half a resample inside, and a single run, which says
    nothing about spread, has the interval from minus to plus infinity.

    Args:
        samples: Each ``(R,)`` or ``(R, T)``.
        statistic: From as many tables ``(..., R, T)`` to one number a table, ``(...)``.
        generator: Source of the resamples.
        paired: Row ``r`` of all samples is one seed, and is drawn for all of them at once.
        method: ``"bca"`` or ``"percentile"``.
        level: Confidence, between 0 and 1.
        resamples: How many tables to draw.

    Raises:
        ConfigError: Shapes do not fit together, or an option is outside its range.
    """
    tables = [as_table(sample) for sample in samples]
    _check(tables, paired=paired, method=method, level=level, resamples=resamples)
    estimate = float(statistic(*tables))
    if min(len(table) for table in tables) == 1:
        return Interval(estimate, -np.inf, np.inf, level)
    drawn = np.concatenate(
        [statistic(*chunk) for chunk in _resamples(tables, paired, resamples, generator)]
    )
    rounding = ROUNDING * np.abs(drawn).max()
    if np.ptp(drawn) <= rounding:
        return Interval(estimate, estimate, estimate, level)
    shares = np.array([(1 - level) / 2, (1 + level) / 2])
    if method == "bca":
        below = (drawn < estimate - rounding).mean() + (drawn <= estimate + rounding).mean()
        below = np.clip(below / 2, 0.5 / resamples, 1 - 0.5 / resamples)
        shares = _adjusted(shares, below, _acceleration(tables, statistic, paired))
    low, high = np.quantile(drawn, shares)
    return Interval(estimate, float(low), float(high), level)


def _adjusted(shares: Table, below: float, acceleration: float) -> Table:
    """Return where BCa reads the quantiles instead (Efron 1987, equation 3.8).

    Args:
        shares: The quantiles that the percentile method reads.
        below: Share of drawn estimates below the estimate.
        acceleration: Of the statistic.
    """
    # SciPy takes a second to import, which every command would wait for.
    from scipy.special import ndtr, ndtri

    bias = ndtri(below)
    shifted = bias + ndtri(shares)
    scale = 1 - acceleration * shifted
    # Past the pole of the formula the quantile has gone to the end it was heading for.
    moved = np.where(scale > 0, bias + shifted / np.where(scale > 0, scale, 1), np.inf * shifted)
    return np.asarray(ndtr(moved))


def _acceleration(tables: Sequence[Table], statistic: Callable[..., Table], paired: bool) -> float:
    """Return ``1/6 sum(U^3)/n^3 / (sum(U^2)/n^2)^(3/2)``, summed over strata of ``n`` runs."""
    cubes = squares = 0.0
    groups = [range(len(tables))] if paired else [[index] for index in range(len(tables))]
    for group in groups:
        for task in range(tables[0].shape[1]):
            without = [
                _each_left_out(table, task) if index in group else table
                for index, table in enumerate(tables)
            ]
            left_out = statistic(*without)
            runs = len(left_out)
            influence = (runs - 1) * (left_out.mean() - left_out)
            cubes += float((influence**3).sum()) / runs**3
            squares += float((influence**2).sum()) / runs**2
    return cubes / (6 * squares**1.5) if squares > 0 else 0.0


def _each_left_out(table: Table, task: int) -> Table:
    """Return ``R`` tables, each without one run of a task.

    Other tasks keep all their runs. The tables stay rectangular, and every task keeps its
    weight, by repeating the runs: ``R`` times in this task and ``R - 1`` times in the others.
    """
    runs, tasks = table.shape
    others = np.array([np.delete(np.arange(runs), run) for run in range(runs)])
    if tasks == 1:
        return np.asarray(table[others])
    without = np.tile(np.repeat(table, runs - 1, axis=0), (runs, 1, 1))
    without[:, :, task] = np.repeat(table[others, task], runs, axis=1)
    return without


def _resamples(
    tables: Sequence[Table], paired: bool, resamples: int, generator: np.random.Generator
) -> Iterator[list[Table]]:
    """Yield the resampled tables ``(b, R, T)`` of every sample, in chunks of ``b``."""
    chunk = max(CHUNK // max(table.size for table in tables), 1)
    for start in range(0, resamples, chunk):
        count = min(chunk, resamples - start)
        rows: NDArray[np.int64] | None = None
        drawn = []
        for table in tables:
            if rows is None or not paired:
                rows = generator.integers(0, len(table), (count, *table.shape))
            drawn.append(np.take_along_axis(table[None], rows, axis=1))
        yield drawn


def _check(
    tables: Sequence[Table], *, paired: bool, method: str, level: float, resamples: int
) -> None:
    """Refuse what has no interval."""
    shapes = [table.shape for table in tables]
    if not tables or any(len(shape) != 2 for shape in shapes):
        raise ConfigError(
            f"samples have shapes {shapes}", cure="give at least one, each (R,) or (R, T)"
        )
    if len({tasks for _, tasks in shapes}) > 1 or (paired and len(set(shapes)) > 1):
        raise ConfigError(
            f"samples of shapes {shapes} do not fit together",
            cure="give the same tasks, and if the runs are paired the same seeds, to all",
        )
    if method not in ("percentile", "bca"):
        raise ConfigError(
            f"there is no interval method {method!r}", cure="choose 'percentile' or 'bca'"
        )
    if not 0 < level < 1:
        raise ConfigError(f"level {level} is no probability", cure="give one such as 0.95")
    if resamples < 1:
        raise ConfigError(f"{resamples} resamples give no interval", cure=f"use {RESAMPLES}")
