"""What an arm's scores say next to those of the arms it is judged against.

The test is the one-sided sign-flip test of the mean paired difference (`dragoman.stats.paired`).
The mean decides and the interquartile mean is reported with it: only in differences of means what
both arms owe to a seed cancels out, where the interquartile mean trims each arm by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dragoman.errors import ConfigError
from dragoman.maths.seeds import derive_seed
from dragoman.stats.aggregates import Table, interquartile_mean, mean, probability_of_improvement
from dragoman.stats.bootstrap import RESAMPLES, Interval, bootstrap_interval
from dragoman.stats.paired import holm, sign_flip_p_value
from dragoman.stats.power import detectable_effect, fewest_units, units_needed


@dataclass(frozen=True, eq=False)
class Scores:
    """One arm's scores, with the seeds that they are paired by.

    Attributes:
        name: What the report calls the arm.
        seeds: ``R`` different training seeds.
        values: Score of each seed, float64 ``(R,)``, or ``(R, T)`` on ``T`` tasks of one scale.

    Raises:
        ConfigError: Seeds and scores do not fit, a seed comes twice, or a score is NaN.
    """

    name: str
    seeds: tuple[int, ...]
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        values = np.asarray(self.values, dtype=np.float64)
        values = values[:, None] if values.ndim == 1 else values  # (R, T)
        if values.ndim != 2 or not values.size or len(values) != len(self.seeds):
            raise ConfigError(
                f"arm {self.name!r} has {len(self.seeds)} seeds and scores of shape "
                f"{np.shape(self.values)}",
                cure="give one score a seed, (R,), or one row a seed and one column a task, (R, T)",
            )
        if len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(
                f"arm {self.name!r} has a seed twice in {self.seeds}", cure="give each run once"
            )
        for seed, row in zip(self.seeds, values, strict=True):
            if not np.isfinite(row).all():
                raise ConfigError(
                    f"arm {self.name!r} has no finite score at seed {seed}: {row.tolist()}",
                    cure="train that seed again, or leave it out of every arm",
                )
        object.__setattr__(self, "values", values)

    @classmethod
    def by_seed(cls, name: str, scores: Mapping[int, float]) -> Scores:
        """Return the scores on one task."""
        return cls(name, tuple(scores), np.array(list(scores.values()), dtype=np.float64))

    def at(self, seeds: Sequence[int]) -> Table:
        """Return the scores of these seeds, in this order, ``(len(seeds), T)``."""
        rows = {seed: row for row, seed in enumerate(self.seeds)}
        return self.values[[rows[seed] for seed in seeds]]


Family: TypeAlias = Sequence[Scores]
"""A judged arm, then those it is judged against: the arm without a model, then every control."""


@dataclass(frozen=True)
class PairedComparison:
    """An arm against one other, on paired seeds.

    Attributes:
        against: Name of the other arm.
        difference: Mean of the paired differences; above zero the arm is better.
        by_seed: The difference of each seed, in the order of the seeds; over tasks their mean.
        interquartile_difference: Difference of the interquartile means.
        improvement: Probability that a run of the arm beats one of the other.
        deviation: Standard deviation of the paired differences; nothing from a single one.
        p_value: One-sided, of being no better than the other.
        adjusted: The same after Holm over the arm's comparisons.
    """

    against: str
    difference: Interval
    by_seed: tuple[float, ...]
    interquartile_difference: Interval
    improvement: Interval
    deviation: float | None
    p_value: float
    adjusted: float

    @property
    def effect(self) -> float | None:
        """Mean over standard deviation of the differences; infinite where they all agree.

        Nothing from a single difference, which has no standard deviation.
        """
        if self.deviation is None:
            return None
        if self.difference.estimate == 0:
            return 0.0
        if self.deviation == 0:
            return float(np.copysign(np.inf, self.difference.estimate))
        return self.difference.estimate / self.deviation


@dataclass(frozen=True)
class Power:
    """What the seeds could show.

    Attributes:
        detectable_effect: Effect over every comparison that these seeds show in 80 % of
            experiments, in standard deviations of the paired differences; infinite for too few.
        detectable_gain: The same in the score's own units, by the most variable comparison.
        fewest_seeds: Fewest seeds with which "helped" is possible at all.
        needed_seeds: Seeds that show the weakest effect observed in 80 % of experiments;
            nothing where it is not positive, or unknown from a single run.
    """

    detectable_effect: float
    detectable_gain: float
    fewest_seeds: int
    needed_seeds: int | None


@dataclass(frozen=True)
class ArmStatistics:
    """An arm's scores next to those of its opponents, before it is corrected for other arms.

    Attributes:
        arm: Its name.
        seeds: Seeds that the arm and all its opponents have.
        left_out: Seeds that only some of them have.
        tasks: Number of tasks, ``T``.
        mean: The arm's mean score.
        interquartile_mean: The arm's interquartile mean.
        comparisons: With no model first, then with every control.
        p_worse: One-sided p-value of being no worse than without a model.
    """

    arm: str
    seeds: tuple[int, ...]
    left_out: tuple[int, ...]
    tasks: int
    mean: Interval
    interquartile_mean: Interval
    comparisons: tuple[PairedComparison, ...]
    p_worse: float

    @property
    def weakest(self) -> PairedComparison:
        """The comparison that decides: the largest p-value, of equal ones the smallest gain."""
        return max(self.comparisons, key=lambda one: (one.adjusted, -one.difference.estimate))

    def power_among(self, arms: int, alpha: float) -> Power:
        """Return what its seeds could show, judged together with so many arms."""
        count = len(self.comparisons)
        family = {"comparisons": count, "arms": arms}
        effect = detectable_effect(len(self.seeds) * self.tasks, alpha=alpha, **family)
        deviations = [
            comparison.deviation
            for comparison in self.comparisons
            if comparison.deviation is not None
        ]
        gain = effect * max(deviations) if np.isfinite(effect) and deviations else np.inf
        effects = [
            comparison.effect for comparison in self.comparisons if comparison.effect is not None
        ]
        needed = units_needed(min(effects), alpha=alpha, **family) if effects else None
        return Power(
            effect,
            gain,
            -(-fewest_units(alpha=alpha, **family) // self.tasks),
            None if needed is None else -(-needed // self.tasks),
        )


def arm_statistics(
    family: Family, *, alpha: float = 0.05, seed: int = 0, resamples: int = RESAMPLES
) -> ArmStatistics:
    """Compare an arm with its opponents, on the seeds that all share.

    Args:
        family: The arm, then its opponents.
        alpha: Intervals hold the truth in ``1 - alpha`` of experiments.
        seed: Of everything drawn.
        resamples: Tables drawn for each interval.

    Raises:
        ConfigError: They share no seed, or differ in tasks.
    """
    arm, *opponents = family
    seeds, left_out = _shared_seeds(family)
    ours = arm.at(seeds)  # (R, T)

    def generator(*purpose: str) -> np.random.Generator:
        # Each purpose draws from a stream of its own.
        return np.random.default_rng(derive_seed("verdict", seed, arm.name, *purpose))

    def interval(purpose: str, *samples: Table, statistic: Callable[..., Table]) -> Interval:
        return bootstrap_interval(
            *samples,
            statistic=statistic,
            generator=generator(purpose),
            paired=True,
            level=1 - alpha,
            resamples=resamples,
        )

    def compare(theirs: Table, against: str, p_value: float, adjusted: float) -> PairedComparison:
        differences = ours - theirs
        return PairedComparison(
            against,
            interval(f"mean/{against}", differences, statistic=mean),
            tuple(differences.mean(axis=1).tolist()),
            interval(f"iqm/{against}", ours, theirs, statistic=_interquartile_difference),
            interval(f"improvement/{against}", ours, theirs, statistic=probability_of_improvement),
            float(differences.std(ddof=1)) if differences.size > 1 else None,
            p_value,
            adjusted,
        )

    gains = [(ours - opponent.at(seeds)).reshape(-1) for opponent in opponents]
    *p_values, worse = sign_flip_p_value([*gains, -gains[0]], generator=generator("signs")).tolist()
    return ArmStatistics(
        arm.name,
        seeds,
        left_out,
        ours.shape[1],
        interval("mean", ours, statistic=mean),
        interval("iqm", ours, statistic=interquartile_mean),
        tuple(
            compare(one.at(seeds), one.name, p_value, float(adjusted))
            for one, p_value, adjusted in zip(opponents, p_values, holm(p_values), strict=True)
        ),
        worse,
    )


def _interquartile_difference(x: Table, y: Table) -> Table:
    return np.asarray(interquartile_mean(x) - interquartile_mean(y))


def _shared_seeds(family: Family) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the seeds that all arms have, and those that only some have, both sorted."""
    shared = set(family[0].seeds).intersection(*(arm.seeds for arm in family))
    if not shared:
        seeds = "; ".join(f"{arm.name!r}: {sorted(arm.seeds)}" for arm in family)
        raise ConfigError(f"no seed is shared by all of {seeds}", cure="train all on the same")
    tasks = {arm.name: arm.values.shape[1] for arm in family}
    if len(set(tasks.values())) > 1:
        raise ConfigError(f"numbers of tasks differ: {tasks}", cure="score all on the same tasks")
    every = set().union(*(arm.seeds for arm in family))
    return tuple(sorted(shared)), tuple(sorted(every - shared))
