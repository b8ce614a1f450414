"""How many steps the runs of each arm take to reach the comparison's threshold.

A run is there once the mean return of its last `WINDOW` training episodes is. Fewer never count:
the first episodes to end are the short ones, which in many tasks are those that went well.

A run that ends before is *censored*. In a paired comparison it counts with the steps that all runs
of its seed had, so that the difference is that of mean steps up to there, and never larger than
what was seen (the restricted mean, Royston and Parmar 2013).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from dragoman.comparison.comparison import Comparison
from dragoman.comparison.scores import Scores, arm_statistics
from dragoman.run import Run
from dragoman.stats.survival import median_time

WINDOW = 50
"""Training episodes whose mean return is looked at."""


def reached_at(run: Run, threshold: float) -> float | None:
    """Return the step at which a run stood at a threshold for the first time, if ever."""
    episodes = run.episodes()
    if len(episodes) < WINDOW:
        return None
    sums = np.cumsum([0.0, *(episode["return"] for episode in episodes)])
    # Of sums of sums, the last digit is no reason to miss a threshold.
    means = np.round((sums[WINDOW:] - sums[:-WINDOW]) / WINDOW, 12)
    there = np.flatnonzero(means >= threshold)
    return float(episodes[there[0] + WINDOW - 1]["step"]) if len(there) else None


def speeds_of(
    comparison: Comparison, runs: Mapping[str, Mapping[int, Run]]
) -> dict[str, dict[str, Any]]:
    """Return of each arm with finished runs how long they took; empty without a threshold.

    Args:
        comparison: What is compared.
        runs: The finished runs of each arm by seed.

    Returns:
        By arm ``steps`` by seed, nothing where the threshold was not reached; ``reached``, the
        number of seeds that did; ``median``, by Kaplan and Meier, infinite where fewer than half
        did; ``restricted_mean``; and ``saved``, for an arm that is judged, its comparisons with the
        baseline and its controls: paired differences of steps, above zero where it took fewer, as
        `dragoman.comparison.scores.PairedComparison`.
    """
    threshold = comparison.threshold
    if threshold is None:
        return {}
    steps = {
        name: {seed: reached_at(run, threshold) for seed, run in of_arm.items()}
        for name, of_arm in runs.items()
    }
    ends = {
        name: {seed: float(run.steps) for seed, run in of_arm.items()}
        for name, of_arm in runs.items()
    }
    speeds = {}
    for name in (name for name in runs if runs[name]):
        values = [ends[name][seed] if at is None else at for seed, at in steps[name].items()]
        is_reached = [at is not None for at in steps[name].values()]
        is_judged = comparison.arms[name].kind == "arm"
        speeds[name] = {
            "steps": steps[name],
            "reached": sum(is_reached),
            "median": median_time(values, is_reached),
            "restricted_mean": float(np.mean(values)),
            "saved": _saved([name, *comparison.opponents(name)], steps, ends) if is_judged else [],
        }
    return speeds


def _saved(
    names: list[str],
    steps: Mapping[str, Mapping[int, float | None]],
    ends: Mapping[str, Mapping[int, float]],
) -> list[dict[str, Any]]:
    """Compare the first arm with the others, on the seeds that all share."""
    seeds = sorted(set.intersection(*(set(steps[name]) for name in names)))
    if not seeds:
        return []
    # As far as all of a seed's runs went: under a budget of seconds or tokens they differ.
    horizons = {seed: min(ends[name][seed] for name in names) for seed in seeds}

    def restricted(name: str, seed: int) -> float:
        at = steps[name][seed]
        return horizons[seed] if at is None else min(at, horizons[seed])

    # Scores are better the higher they are, steps the fewer.
    family = [
        Scores.by_seed(name, {seed: -restricted(name, seed) for seed in seeds}) for name in names
    ]
    return [asdict(comparison) for comparison in arm_statistics(family).comparisons]
