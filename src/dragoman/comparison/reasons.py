"""The sentence behind a verdict: the rule that decided, with its numbers."""

from __future__ import annotations

from dragoman.comparison.measure import Comparison, Measured, Power, Reference
from dragoman.stats.paired import smallest_p_value


def hurt(entry: Measured, p_hurt: float, alpha: float) -> str:
    """Say that an arm is worse than without a model."""
    return (
        f"worse than {entry.comparisons[0].against!r} by {entry.comparisons[0].difference}, "
        f"p = {p_hurt:.2g} after Holm, at most {alpha:g} asked"
    )


def too_few(entry: Measured, power: Power, arms: int, alpha: float) -> str:
    """Say that no result of so few seeds would be evidence."""
    smallest = smallest_p_value(len(entry.seeds) * entry.tasks)
    tests = arms * len(entry.comparisons)
    return (
        f"too few seeds: {len(entry.seeds)} cannot give a p-value below {smallest:.2g}, which "
        f"after Holm over {tests} {_plural('test', tests)} is above {alpha:g}, so at least "
        f"{power.fewest_seeds} are needed" + _then_needed(entry, power)
    )


def helped(entry: Measured, p_helped: float, reference: Reference, alpha: float) -> str:
    """Say what an arm has beaten, and by how much the hardest."""
    weakest = _weakest(entry)
    controls = len(entry.comparisons) - 1
    beaten = f"and than {f'each of its {controls} controls' if controls > 1 else 'its control'}"
    return (
        f"better than {entry.comparisons[0].against!r} "
        + (beaten if controls else "(no control was run, so a placebo may do the same)")
        + f"; the hardest to beat, {weakest.against!r}, was beaten by {weakest.difference}, "
        f"p = {p_helped:.2g} after Holm, at most {alpha:g} asked, and the mean {entry.mean} lies "
        f"above the random policy's {reference.random:.3g}"
    )


def below_random(entry: Measured, p_helped: float, reference: Reference) -> str:
    """Say that an arm beats everything but chance."""
    return (
        f"not above chance: better than every comparison, p = {p_helped:.2g} after Holm, but its "
        f"mean {entry.mean} does not lie above the random policy's {reference.random:.3g}"
    )


def no_evidence(entry: Measured, power: Power, p_helped: float, alpha: float) -> str:
    """Say what an arm has not beaten, and what the seeds could have shown."""
    weakest = _weakest(entry)
    return (
        f"not better than {weakest.against!r}: the difference is {weakest.difference}, "
        f"p = {p_helped:.2g} after Holm, at most {alpha:g} asked; {len(entry.seeds)} seeds show a "
        f"gain of {power.detectable_gain:.3g} ({power.detectable_effect:.3g} standard deviations) "
        f"in 80 % of experiments" + _then_needed(entry, power)
    )


def _weakest(entry: Measured) -> Comparison:
    """Return the comparison that decides: the largest p-value, of equal ones the smallest gain."""
    return max(entry.comparisons, key=lambda one: (one.adjusted, -one.difference.estimate))


def _then_needed(entry: Measured, power: Power) -> str:
    if power.needed_seeds is not None:
        return f", and the gain observed would take {power.needed_seeds}"
    if min(one.difference.estimate for one in entry.comparisons) <= 0:
        return ", and no number would show a gain, for none was observed"
    return ""


def on_seeds(entry: Measured) -> str:
    """Say which seeds were compared, where some are missing."""
    if not entry.left_out:
        return ""
    every = len(entry.seeds) + len(entry.left_out)
    return f" (on the {len(entry.seeds)} of {every} seeds that all compared arms share)"


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"
