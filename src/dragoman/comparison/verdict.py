"""Did the language model help? Scores in, one verdict an arm out.

An arm *helped* if it is better than the arm without a model and than every one of its controls,
and stands above the random policy. It *hurt* if it is worse than the arm without a model.
Otherwise there is *no evidence*, and the verdict says what the seeds could have shown.

Which tests form a family is a choice, made here so. Within an arm, Holm runs over its comparisons
with no model and with every control. For "all of them are significant" alone, an intersection-union
test, no correction would be needed; but the report also prints each comparison ("better than
noise"), and those claims hold together only after Holm. It costs little: the weakest comparison,
which decides, is asked for ``alpha`` itself, and the stronger ones must reach ``alpha/k``.
Over several arms, each with the largest of its adjusted p-values, Holm runs again, so that the
chance that any arm is wrongly said to have helped is at most ``alpha``. "Hurt" is a family of
its own, one test an arm, so that an arm without effect is called one or the other in at most
``2 alpha`` of experiments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from dragoman.comparison import reasons
from dragoman.comparison.measure import Arm, Candidate, Comparison, Measured, Power, Reference
from dragoman.errors import ConfigError
from dragoman.stats.bootstrap import RESAMPLES, Interval
from dragoman.stats.multiplicity import holm
from dragoman.stats.power import fewest_units

Outcome: TypeAlias = Literal["helped", "hurt", "no evidence"]


@dataclass(frozen=True)
class Verdict:
    """What is to be said of an arm.

    Attributes:
        arm: Its name.
        outcome: ``"helped"``, ``"hurt"`` or ``"no evidence"``.
        reason: One sentence with the rule that decided, and its numbers.
        seeds: Seeds that the arm, the one without a model and all its controls have.
        left_out: Seeds that only some of them have.
        mean: The arm's mean score.
        interquartile_mean: The arm's interquartile mean.
        comparisons: With no model first, then with every control.
        p_helped: Largest adjusted p-value of its comparisons, after Holm over the arms.
        p_hurt: Of being no worse than without a model, after Holm over the arms.
        share_of_best: How far from random to the best known score the mean has gone, if known.
        power: What the seeds could show.
    """

    arm: str
    outcome: Outcome
    reason: str
    seeds: tuple[int, ...]
    left_out: tuple[int, ...]
    mean: Interval
    interquartile_mean: Interval
    comparisons: tuple[Comparison, ...]
    p_helped: float
    p_hurt: float
    share_of_best: float | None
    power: Power


def judge(
    candidates: Sequence[Candidate],
    no_model: Arm,
    reference: Reference,
    *,
    alpha: float = 0.05,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> list[Verdict]:
    """Return one verdict a candidate, by the rules at the top of this module.

    Each arm is judged on the seeds that it shares with ``no_model`` and all its controls. The
    rules are tried in this order: hurt; too few seeds for any p-value to pass; helped; significant
    but not above the random line; no evidence. An arm is above the random line if the whole
    ``1 - alpha`` bootstrap interval of its mean is.

    Args:
        candidates: Arms to judge together; their number is part of the correction.
        no_model: The same training without a language model.
        reference: Random and best known score.
        alpha: Accepted chance that any arm is wrongly said to have helped.
        seed: Of everything drawn. Another arm beside it changes only an arm's Holm factor.
        resamples: Tables drawn for each interval.

    Raises:
        ConfigError: Arms share a name or no seed, differ in tasks, or ``alpha`` is no chance.
    """
    _check_names(candidates, no_model)
    fewest_units(arms=len(candidates), alpha=alpha)  # refuses an alpha that is no chance
    entries = [
        Measured.measure(candidate, no_model, alpha, seed, resamples) for candidate in candidates
    ]
    p_helped = holm([max(one.adjusted for one in entry.comparisons) for entry in entries])
    p_hurt = holm([entry.p_worse for entry in entries])
    return [
        _decide(entry, len(entries), float(helped), float(hurt), reference, alpha)
        for entry, helped, hurt in zip(entries, p_helped, p_hurt, strict=True)
    ]


def _decide(
    entry: Measured, arms: int, p_helped: float, p_hurt: float, reference: Reference, alpha: float
) -> Verdict:
    """Return the verdict by the first rule that applies."""
    power = entry.power(arms, alpha)
    is_above_random = entry.mean.low > reference.random
    outcome: Outcome = "no evidence"
    if p_hurt <= alpha:
        outcome, why = "hurt", reasons.hurt(entry, p_hurt, alpha)
    elif len(entry.seeds) < power.fewest_seeds:
        why = reasons.too_few(entry, power, arms, alpha)
    elif p_helped <= alpha and is_above_random:
        outcome, why = "helped", reasons.helped(entry, p_helped, reference, alpha)
    elif p_helped <= alpha:
        why = reasons.below_random(entry, p_helped, reference)
    else:
        why = reasons.no_evidence(entry, power, p_helped, alpha)
    return Verdict(
        entry.name,
        outcome,
        why + reasons.on_seeds(entry) + ".",
        entry.seeds,
        entry.left_out,
        entry.mean,
        entry.interquartile_mean,
        entry.comparisons,
        p_helped,
        p_hurt,
        reference.share(entry.mean.estimate),
        power,
    )


def _check_names(candidates: Sequence[Candidate], no_model: Arm) -> None:
    if not candidates:
        raise ConfigError("there is no arm to judge", cure="give at least one candidate")
    judged = [candidate.arm.name for candidate in candidates]
    for candidate in candidates:
        others = [no_model.name, *(control.name for control in candidate.controls)]
        names = [*judged, *others]
        if len(set(names)) < len(names):
            raise ConfigError(f"a name comes twice in {names}", cure="give every arm its own")
