"""Did the language model help? Scores in, one verdict an arm out.

An arm *helped* if it is better than the arm without a model and than every one of its controls,
and stands above the random policy. It *hurt* if it is worse than the arm without a model.
Otherwise there is *no evidence*, and the verdict says what the seeds could have shown.

Which tests form a family is a choice, made here so. Within an arm, Holm runs over its comparisons
with no model and with every control. For "all of them are significant" alone, an intersection-union
test, no correction would be needed; but the report also prints each comparison ("better than
noise"), and those claims hold together only after Holm. It costs little: the weakest comparison,
which decides, must reach ``alpha`` itself, and the stronger ones ``alpha/k``.
Over several arms, each with the largest of its adjusted p-values, Holm runs again, so that the
chance that any arm is wrongly said to have helped is at most ``alpha``. "Hurt" is a family of
its own, one test an arm, so that an arm without effect is called one or the other in at most
``2 alpha`` of experiments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from dragoman.comparison.scores import (
    ArmStatistics,
    Family,
    Power,
    arm_statistics,
)
from dragoman.errors import ConfigError
from dragoman.phrases import counted
from dragoman.stats.bootstrap import RESAMPLES
from dragoman.stats.paired import holm, smallest_p_value
from dragoman.stats.power import fewest_units

Outcome: TypeAlias = Literal["helped", "hurt", "no evidence"]


@dataclass(frozen=True)
class Verdict(ArmStatistics):
    """An arm's statistics and what follows from them.

    Attributes:
        outcome: ``"helped"``, ``"hurt"`` or ``"no evidence"``.
        reason: One sentence with the rule that decided, and its numbers.
        p_helped: Largest adjusted p-value of its comparisons, after Holm over the arms.
        p_hurt: Of being no worse than without a model, after Holm over the arms.
        share_of_best: How far from random to the best known score the mean has gone, if known.
        power: What the seeds could show.
        level: Chance that was accepted of any arm being wrongly said to have helped.
    """

    outcome: Outcome
    reason: str
    p_helped: float
    p_hurt: float
    share_of_best: float | None
    power: Power
    level: float


def judge(
    families: Sequence[Family],
    *,
    random: float,
    best: float | None = None,
    alpha: float = 0.05,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> list[Verdict]:
    """Return one verdict a family, by the rules at the top of this module.

    Each arm is judged on the seeds that it shares with all its opponents. The rules are tried in
    this order: hurt; too few seeds for any p-value to pass; helped; significant but not above the
    random line; no evidence. An arm is above the random line if the whole ``1 - alpha`` bootstrap
    interval of its mean is.

    Args:
        families: Arms to judge together, each followed by its opponents, of which the arm without
            a model is the first; the number of families is part of the correction.
        random: Mean score of a uniformly random policy, over the same tasks.
        best: Best known or optimal score, only reported.
        alpha: Accepted chance that any arm is wrongly said to have helped.
        seed: Of everything drawn. Another judged arm changes only an arm's Holm factor.
        resamples: Tables drawn for each interval.

    Raises:
        ConfigError: Arms share a name or no seed, differ in tasks, or ``alpha`` is no chance.
    """
    _check_names(families)
    fewest_units(arms=len(families), alpha=alpha)  # refuses an alpha that is no chance
    entries = [
        arm_statistics(family, alpha=alpha, seed=seed, resamples=resamples) for family in families
    ]
    p_helped = holm(
        [max(comparison.adjusted for comparison in entry.comparisons) for entry in entries]
    )
    p_hurt = holm([entry.p_worse for entry in entries])
    return [
        _decide(entry, len(entries), float(helped), float(hurt), random, best, alpha)
        for entry, helped, hurt in zip(entries, p_helped, p_hurt, strict=True)
    ]


def _decide(
    entry: ArmStatistics,
    arms: int,
    p_helped: float,
    p_hurt: float,
    random: float,
    best: float | None,
    alpha: float,
) -> Verdict:
    """Return the verdict by the first rule that applies."""
    power = entry.power_among(arms, alpha)
    level = f"after Holm (limit {alpha:g})"
    outcome: Outcome = "no evidence"
    if p_hurt <= alpha:
        outcome, first = "hurt", entry.comparisons[0]
        why = f"worse than {first.against!r} by {first.difference}, p = {p_hurt:.2g} {level}"
    elif len(entry.seeds) < power.fewest_seeds:
        why = _too_few(entry, power, arms, alpha)
    elif p_helped <= alpha and entry.mean.low > random:
        outcome, why = "helped", _helped(entry, f"p = {p_helped:.2g} {level}", random)
    elif p_helped <= alpha:
        why = (
            f"not above chance: better than every comparison, p = {p_helped:.2g} after Holm, but "
            f"its mean {entry.mean} does not lie above the random policy's {random:.3g}"
        )
    else:
        why = _no_evidence(entry, power, f"p = {p_helped:.2g} {level}")
    if entry.left_out:
        every = len(entry.seeds) + len(entry.left_out)
        why += f" (on the {len(entry.seeds)} of {every} seeds that all compared arms share)"
    share = None
    if best is not None and best != random:
        share = (entry.mean.estimate - random) / (best - random)
    return Verdict(
        **vars(entry),
        outcome=outcome,
        reason=f"{why}.",
        p_helped=p_helped,
        p_hurt=p_hurt,
        share_of_best=share,
        power=power,
        level=alpha,
    )


def _too_few(entry: ArmStatistics, power: Power, arms: int, alpha: float) -> str:
    """Say that no result of so few seeds would be evidence."""
    smallest = smallest_p_value(len(entry.seeds) * entry.tasks)
    tests = arms * len(entry.comparisons)
    return (
        f"too few seeds: {len(entry.seeds)} cannot give a p-value below {smallest:.2g}, which "
        f"after Holm over {counted(tests, 'test')} is above {alpha:g}, so at least "
        f"{power.fewest_seeds} are needed" + _then_needed(entry, power)
    )


def _helped(entry: ArmStatistics, test: str, random: float) -> str:
    """Say what an arm has beaten, and by how much the hardest."""
    weakest = entry.weakest
    controls = len(entry.comparisons) - 1
    beaten = f"and than {f'each of its {controls} controls' if controls > 1 else 'its control'}"
    return (
        f"better than {entry.comparisons[0].against!r} "
        + (beaten if controls else "(no control was run, so a placebo may do the same)")
        + f"; the hardest to beat, {weakest.against!r}, was beaten by {weakest.difference}, "
        f"{test}, and the mean {entry.mean} lies above the random policy's {random:.3g}"
    )


def _no_evidence(entry: ArmStatistics, power: Power, test: str) -> str:
    """Say what an arm has not beaten, and what the seeds could have shown."""
    weakest = entry.weakest
    return (
        f"not better than {weakest.against!r}: the difference is {weakest.difference}, "
        f"{test}; {len(entry.seeds)} seeds show a gain of {power.detectable_gain:.3g} "
        f"({power.detectable_effect:.3g} standard deviations) in 80 % of experiments"
        + _then_needed(entry, power)
    )


def _then_needed(entry: ArmStatistics, power: Power) -> str:
    if power.needed_seeds is not None:
        return f", and the gain observed would take {power.needed_seeds}"
    if min(comparison.difference.estimate for comparison in entry.comparisons) <= 0:
        return ", and no number would show a gain, for none was observed"
    return ""


def _check_names(families: Sequence[Family]) -> None:
    if not families:
        raise ConfigError("there is no arm to judge", cure="give at least one")
    judged = [arm.name for arm, *_ in families]
    for _, *opponents in families:
        names = [*judged, *(other.name for other in opponents)]
        if len(set(names)) < len(names):
            raise ConfigError(f"a name comes twice in {names}", cure="give every arm its own")
