"""What an arm's scores say beside those of the arms it is judged against.

The test is the one-sided sign-flip test of the mean paired difference (`dragoman.stats.paired`).
The mean decides and the interquartile mean stands beside it: only differences of means rid
themselves of what both arms owe to a seed, where the interquartile mean trims each arm by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dragoman.errors import ConfigError
from dragoman.maths.seeds import derive_seed
from dragoman.stats.aggregates import interquartile_mean, mean
from dragoman.stats.bootstrap import Interval, bootstrap_interval
from dragoman.stats.improvement import probability_of_improvement
from dragoman.stats.multiplicity import holm
from dragoman.stats.paired import sign_flip_p_value
from dragoman.stats.power import detectable_effect, fewest_units, units_needed
from dragoman.stats.scores import Scores


@dataclass(frozen=True, eq=False)
class Arm:
    """One arm's scores, with the seeds that they are paired by.

    Attributes:
        name: What the report calls it.
        seeds: ``R`` different training seeds.
        scores: Score of each seed, float64 ``(R,)``, or ``(R, T)`` on ``T`` tasks of one scale.

    Raises:
        ConfigError: Seeds and scores do not fit, a seed comes twice, or a score is NaN.
    """

    name: str
    seeds: tuple[int, ...]
    scores: NDArray[np.float64]

    def __post_init__(self) -> None:
        scores = np.asarray(self.scores, dtype=np.float64)
        scores = scores[:, None] if scores.ndim == 1 else scores
        if scores.ndim != 2 or not scores.size or len(scores) != len(self.seeds):
            raise ConfigError(
                f"arm {self.name!r} has {len(self.seeds)} seeds and scores of shape "
                f"{np.shape(self.scores)}",
                cure="give one score a seed, (R,), or one row a seed and one column a task, (R, T)",
            )
        if len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(
                f"arm {self.name!r} has a seed twice in {self.seeds}", cure="give each run once"
            )
        for seed, row in zip(self.seeds, scores, strict=True):
            if not np.isfinite(row).all():
                raise ConfigError(
                    f"arm {self.name!r} has no finite score at seed {seed}: {row.tolist()}",
                    cure="train that seed again, or leave it out of every arm",
                )
        object.__setattr__(self, "scores", scores)

    def at(self, seeds: Sequence[int]) -> Scores:
        """Return the scores of these seeds, in this order, ``(len(seeds), T)``."""
        rows = {seed: row for row, seed in enumerate(self.seeds)}
        return self.scores[[rows[seed] for seed in seeds]]


@dataclass(frozen=True)
class Candidate:
    """An arm to judge, and the placebos that it must beat.

    Attributes:
        arm: The arm with a language model.
        controls: Its placebos, such as a constant, noise or random weights.
    """

    arm: Arm
    controls: tuple[Arm, ...] = ()


@dataclass(frozen=True)
class Reference:
    """What the scores are measured against.

    Attributes:
        random: Mean score of a uniformly random policy, over the same tasks.
        best: Best known or optimal score, only reported.
    """

    random: float
    best: float | None = None

    def __post_init__(self) -> None:
        if not np.isfinite(self.random) or (self.best is not None and not np.isfinite(self.best)):
            raise ConfigError(
                f"{self} holds NaN or infinity",
                cure="measure the random policy, and give None where no best score is known",
            )

    def share(self, score: float) -> float | None:
        """Return how much of the way from random to best a score has gone, or nothing."""
        if self.best is None or self.best == self.random:
            return None
        return (score - self.random) / (self.best - self.random)


@dataclass(frozen=True)
class Comparison:
    """An arm against one other, on paired seeds.

    Attributes:
        against: Name of the other arm.
        difference: Mean of the paired differences; above zero the arm is better.
        interquartile_difference: Difference of the interquartile means.
        improvement: Probability that a run of the arm beats one of the other.
        deviation: Standard deviation of the paired differences; nothing from a single one.
        p_value: One-sided, of being no better than the other.
        adjusted: The same after Holm over the arm's comparisons.
    """

    against: str
    difference: Interval
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
class Measured:
    """One candidate measured, before it is corrected for the others."""

    name: str
    seeds: tuple[int, ...]
    left_out: tuple[int, ...]
    tasks: int
    mean: Interval
    interquartile_mean: Interval
    comparisons: tuple[Comparison, ...]
    p_worse: float

    @classmethod
    def measure(
        cls, candidate: Candidate, no_model: Arm, alpha: float, seed: int, resamples: int
    ) -> Measured:
        """Compare an arm with no model and its controls, on the seeds that all share."""
        arm, others = candidate.arm, (no_model, *candidate.controls)
        seeds, left_out = _shared_seeds((arm, *others))
        scores = arm.at(seeds)
        sampling = _Sampling(arm.name, 1 - alpha, seed, resamples)
        better = [(scores - other.at(seeds)).reshape(-1) for other in others]
        generator = sampling.generator("signs")
        *p_values, worse = sign_flip_p_value([*better, -better[0]], generator=generator).tolist()
        comparisons = tuple(
            _compare(scores, other.at(seeds), other.name, sampling, p_value, float(adjusted))
            for other, p_value, adjusted in zip(others, p_values, holm(p_values), strict=True)
        )
        return cls(
            arm.name,
            seeds,
            left_out,
            scores.shape[1],
            sampling.interval("mean", scores, statistic=mean),
            sampling.interval("iqm", scores, statistic=interquartile_mean),
            comparisons,
            worse,
        )

    def power(self, arms: int, alpha: float) -> Power:
        """Return what its seeds could show, judged together with so many arms."""
        count = len(self.comparisons)
        family = {"comparisons": count, "arms": arms}
        effect = detectable_effect(len(self.seeds) * self.tasks, alpha=alpha, **family)
        deviations = [one.deviation for one in self.comparisons if one.deviation is not None]
        gain = effect * max(deviations) if np.isfinite(effect) and deviations else np.inf
        effects = [one.effect for one in self.comparisons if one.effect is not None]
        needed = units_needed(min(effects), alpha=alpha, **family) if effects else None
        return Power(
            effect,
            gain,
            -(-fewest_units(alpha=alpha, **family) // self.tasks),
            None if needed is None else -(-needed // self.tasks),
        )


@dataclass(frozen=True)
class _Sampling:
    """Draws for one arm, each purpose from a stream of its own."""

    arm: str
    level: float
    seed: int
    resamples: int

    def generator(self, *purpose: str) -> np.random.Generator:
        return np.random.default_rng(derive_seed("verdict", self.seed, self.arm, *purpose))

    def interval(
        self, purpose: str, *samples: Scores, statistic: Callable[..., Scores]
    ) -> Interval:
        return bootstrap_interval(
            *samples,
            statistic=statistic,
            generator=self.generator(purpose),
            paired=True,
            level=self.level,
            resamples=self.resamples,
        )


def _compare(
    ours: Scores,
    theirs: Scores,
    against: str,
    sampling: _Sampling,
    p_value: float,
    adjusted: float,
) -> Comparison:
    """Return all that is reported of two arms' scores on the same seeds."""
    differences = ours - theirs
    return Comparison(
        against,
        sampling.interval(f"mean/{against}", differences, statistic=mean),
        sampling.interval(
            f"iqm/{against}",
            ours,
            theirs,
            statistic=lambda x, y: interquartile_mean(x) - interquartile_mean(y),
        ),
        sampling.interval(
            f"improvement/{against}", ours, theirs, statistic=probability_of_improvement
        ),
        float(differences.std(ddof=1)) if differences.size > 1 else None,
        p_value,
        adjusted,
    )


def _shared_seeds(arms: Sequence[Arm]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the seeds that all arms have, and those that only some have, both sorted."""
    shared = set(arms[0].seeds).intersection(*(arm.seeds for arm in arms))
    if not shared:
        seeds = "; ".join(f"{arm.name!r}: {sorted(arm.seeds)}" for arm in arms)
        raise ConfigError(f"no seed is shared by all of {seeds}", cure="train all on the same")
    tasks = {arm.name: arm.scores.shape[1] for arm in arms}
    if len(set(tasks.values())) > 1:
        raise ConfigError(f"numbers of tasks differ: {tasks}", cure="score all on the same tasks")
    every = set().union(*(arm.seeds for arm in arms))
    return tuple(sorted(shared)), tuple(sorted(every - shared))
