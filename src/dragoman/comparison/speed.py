"""How many steps the runs of each arm take to reach the comparison's threshold.

A run is there once the mean return of its last `WINDOW` training episodes is. Fewer never count:
the first episodes to end are the short ones, which in many tasks are those that went well.

A run that ends before is *censored*. In a paired comparison it counts with the steps that all runs
of its seed had, so that the difference is that of mean steps up to there, and never larger than
what was seen (the restricted mean, Royston and Parmar 2013).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from dragoman.comparison.comparison import ComparisonFolder
from dragoman.comparison.measure import Arm, Candidate, Measured
from dragoman.comparison.opponents import rivals_of
from dragoman.run import Run
from dragoman.stats.bootstrap import RESAMPLES
from dragoman.stats.survival import Times, kaplan_meier

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


def speeds_of(folder: ComparisonFolder) -> dict[str, dict[str, Any]]:
    """Return of each arm with finished runs how long they took; empty without a threshold.

    Returns:
        By arm ``steps`` by seed, nothing where the threshold was not reached; ``reached``, the
        number of seeds that did; ``median``, by Kaplan and Meier, infinite where fewer than half
        did; ``restricted_mean``; and ``saved``, for an arm that is judged, its comparisons with the
        baseline and its controls: paired differences of steps, above zero where it took fewer, as
        `dragoman.comparison.measure.Comparison`.
    """
    threshold = folder.comparison.threshold
    if threshold is None:
        return {}
    runs = {name: folder.runs(name) for name in folder.comparison.arms}
    steps = {
        name: {seed: reached_at(run, threshold) for seed, run in own.items()}
        for name, own in runs.items()
        if own
    }
    ends = {
        name: {seed: float(run.steps) for seed, run in own.items()} for name, own in runs.items()
    }
    return {
        name: {
            **_summary(own, ends[name]),
            "saved": _saved([name, *rivals_of(folder, name)], steps, ends)
            if folder.comparison.arms[name].kind == "arm"
            else [],
        }
        for name, own in steps.items()
    }


def _summary(steps: Mapping[int, float | None], ends: Mapping[int, float]) -> dict[str, Any]:
    is_reached = [at is not None for at in steps.values()]
    values = np.array([ends[seed] if at is None else at for seed, at in steps.items()])
    return {
        "steps": dict(steps),
        "reached": sum(is_reached),
        "median": kaplan_meier(Times(values, np.array(is_reached))).median,
        "restricted_mean": float(values.mean()),
    }


def _saved(
    names: Sequence[str],
    steps: Mapping[str, Mapping[int, float | None]],
    ends: Mapping[str, Mapping[int, float]],
) -> list[dict[str, Any]]:
    """Compare the first arm with the others, on the seeds that all share."""
    seeds = sorted(set.intersection(*(set(steps.get(name, ())) for name in names)))
    if not seeds:
        return []
    # As far as all of a seed's runs went: under a budget of seconds or tokens they differ.
    horizons = [min(ends[name][seed] for name in names) for seed in seeds]

    def arm(name: str) -> Arm:
        times = [steps[name][seed] for seed in seeds]
        restricted = [
            end if at is None else min(at, end) for at, end in zip(times, horizons, strict=True)
        ]
        # Scores are better the higher they are, steps the fewer.
        return Arm(name, tuple(seeds), -np.array(restricted))

    own, baseline, *controls = map(arm, names)
    candidate = Candidate(own, tuple(controls))
    measured = Measured.measure(candidate, baseline, alpha=0.05, seed=0, resamples=RESAMPLES)
    return [asdict(one) for one in measured.comparisons]
