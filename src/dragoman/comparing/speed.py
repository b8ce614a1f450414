"""How many steps the runs of each arm take to reach the comparison's threshold.

A run is there once the mean return of its last `WINDOW` training episodes is. Fewer never count:
the first episodes to end are the short ones, which in many tasks are those that went well.

A run that ends before is *censored*. In a paired comparison it counts with all the steps it had,
in every arm alike, so that the difference is that of mean steps up to the budget, and is never
larger than what was seen (the restricted mean, Royston and Parmar 2013).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from dragoman.comparison import ComparisonFolder
from dragoman.maths.bootstrap import RESAMPLES
from dragoman.maths.survival import Times, kaplan_meier
from dragoman.measured import Arm, Candidate, Measured
from dragoman.runs import Run

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
    folder: ComparisonFolder, controls_of: Callable[[str], Sequence[str]]
) -> dict[str, dict[str, Any]]:
    """Return of each arm with finished runs how long they took; empty without a threshold.

    Args:
        folder: The comparison.
        controls_of: Names of the controls that an arm is held against.

    Returns:
        By arm ``steps`` by seed, nothing where the threshold was not reached; ``reached``, the
        number of seeds that did; ``median``, by Kaplan and Meier, infinite where fewer than half
        did; ``restricted_mean``; and ``saved``, for an arm that is judged, its comparisons with the
        baseline and its controls: paired differences of steps, above zero where it took fewer, as
        `dragoman.measured.Comparison`.
    """
    threshold = folder.comparison.threshold
    if threshold is None:
        return {}
    found: dict[str, dict[int, float | None]] = {}
    restricted: dict[str, dict[int, float]] = {}
    for name in folder.comparison.arms:
        runs = folder.runs(name)
        steps = {seed: reached_at(run, threshold) for seed, run in runs.items()}
        if steps:
            found[name] = steps
            restricted[name] = {
                seed: float(runs[seed].steps) if at is None else at for seed, at in steps.items()
            }
    return {
        name: {
            **_summary(steps, restricted[name]),
            "saved": _saved(folder, name, restricted, controls_of),
        }
        for name, steps in found.items()
    }


def _summary(steps: Mapping[int, float | None], restricted: Mapping[int, float]) -> dict[str, Any]:
    is_reached = [at is not None for at in steps.values()]
    values = np.array(list(restricted.values()))
    return {
        "steps": dict(steps),
        "reached": sum(is_reached),
        "median": kaplan_meier(Times(values, np.array(is_reached))).median,
        "restricted_mean": float(values.mean()),
    }


def _saved(
    folder: ComparisonFolder,
    arm: str,
    restricted: Mapping[str, Mapping[int, float]],
    controls_of: Callable[[str], Sequence[str]],
) -> list[dict[str, Any]]:
    """Compare a judged arm with the baseline and its controls, on the seeds that all share."""
    comparison = folder.comparison
    needed = [arm, comparison.baseline, *controls_of(arm)]
    if comparison.arms[arm].kind != "arm" or not all(name in restricted for name in needed):
        return []
    if not set.intersection(*(set(restricted[name]) for name in needed)):
        return []
    own, baseline, *controls = (_negated(name, restricted[name]) for name in needed)
    candidate = Candidate(own, tuple(controls))
    measured = Measured.measure(candidate, baseline, alpha=0.05, seed=0, resamples=RESAMPLES)
    return [asdict(one) for one in measured.comparisons]


def _negated(name: str, steps: Mapping[int, float]) -> Arm:
    # Scores are better the higher they are, steps the fewer.
    return Arm(name, tuple(steps), -np.array(list(steps.values())))
