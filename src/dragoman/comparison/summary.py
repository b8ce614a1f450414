"""A verdict in words for those who know no statistics, and nothing that its numbers do not say."""

from __future__ import annotations

import math
from collections.abc import Mapping

from dragoman.comparison.comparison import BASELINE, Arm
from dragoman.comparison.scores import PairedComparison, Power
from dragoman.comparison.verdict import Verdict
from dragoman.phrases import counted
from dragoman.stats.bootstrap import number


def summary(verdict: Verdict, arms: Mapping[str, Arm]) -> str:
    """Return a verdict in two or three plain sentences.

    Args:
        verdict: Of one arm.
        arms: All arms by name.
    """
    first, *controls = verdict.comparisons
    without = "the same training without the model"
    than = f"{_change(first)} {without if first.against == BASELINE else repr(first.against)}"
    if verdict.outcome == "hurt":
        return f"The arm {verdict.arm!r} hurt: it scored {than}."
    if verdict.outcome == "helped":
        beaten = f", and more than {'each' if len(controls) > 1 else 'the'} control"
        lacking = " No control was run, so the same may be had without what the model knows."
        end = f"{beaten}." if controls else f".{lacking}"
        return f"The arm {verdict.arm!r} helped: it scored {than}{end}"
    if len(verdict.seeds) < verdict.power.fewest_seeds:
        return (
            f"No verdict is possible: {counted(len(verdict.seeds), 'seed')} cannot show a gain "
            f"of any size, {verdict.power.fewest_seeds} can. So far it scored {than}."
        )
    weakest = verdict.weakest
    if verdict.p_helped <= verdict.level:
        why = f"it scored {than}, but not more than actions drawn at random"
    elif weakest is first or first.difference.estimate <= 0:
        why = f"it scored {than}"
        why += ", which may be chance" if first.difference.estimate > 0 else ""
    else:
        why = (
            f"it scored {than}, but was not shown to score more than the control "
            f"{weakest.against!r} ({arms[weakest.against].about})"
        )
    could = _could_show(len(verdict.seeds), verdict.power)
    return f"No evidence that the arm {verdict.arm!r} helps: {why}.{could}"


def _change(comparison: PairedComparison) -> str:
    gain = comparison.difference.estimate
    if gain == 0:
        return "the same as"
    return f"{number(abs(gain))} {'more' if gain > 0 else 'less'} than"


def _could_show(seeds: int, power: Power) -> str:
    """Say which gains these seeds find, and how surely."""
    gain = power.detectable_gain
    # Seeds that all agree have no spread, of which a detectable gain could be made.
    if not math.isfinite(gain) or gain <= 0:
        return ""
    return (
        f" {counted(seeds, 'seed').capitalize()} could only have shown a gain above about "
        f"{number(gain)} with confidence (in 8 of 10 such comparisons); a smaller one may have "
        "gone unseen."
    )
