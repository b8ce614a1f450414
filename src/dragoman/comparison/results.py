"""From run folders to ``results.json``: scores, costs and one verdict an arm.

For each arm: ``kind`` and ``role``; by seed ``status``, ``scores`` (mean greedy return),
``sampled_scores`` and ``costs``; ``mean`` and ``interquartile_mean`` with their intervals; with a
threshold ``speed``, see `dragoman.comparison.speed`; and for those that are judged ``verdict``,
whose ``outcome`` and ``reason`` are always there, with all the numbers of
`dragoman.comparison.verdict.Verdict` where there was something to judge. What is infinite is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from dragoman.comparison.comparison import ComparisonFolder
from dragoman.comparison.measure import Arm, Candidate, Reference
from dragoman.comparison.opponents import rivals_of
from dragoman.comparison.speed import speeds_of
from dragoman.comparison.verdict import judge
from dragoman.maths.seeds import derive_seed
from dragoman.run import write_json
from dragoman.stats.aggregates import interquartile_mean, mean
from dragoman.stats.bootstrap import bootstrap_interval


def write_results(folder: ComparisonFolder) -> dict[str, Any]:
    """Judge what has finished, write ``results.json`` and return what it holds."""
    results = _plain(results_of(folder))
    write_json(folder.path / "results.json", results)
    assert isinstance(results, dict)
    return results


def results_of(folder: ComparisonFolder) -> dict[str, Any]:
    """Return scores, costs and verdicts of what has finished."""
    comparison = folder.comparison
    verdicts = _verdicts(folder)
    speeds = speeds_of(folder)
    return {
        "name": comparison.name,
        "budget": comparison.budget,
        "seeds": list(comparison.seeds),
        "random": folder.random_score(),
        "reference": asdict(comparison.reference),
        "threshold": comparison.threshold,
        "arms": {
            name: {
                "kind": arm.kind,
                "role": arm.role,
                "status": {seed: folder.status(name, seed) for seed in comparison.seeds},
                "scores": folder.scores(name),
                "sampled_scores": folder.scores(name, sampled=True),
                "costs": {seed: folder.costs(name, seed) for seed in folder.runs(name)},
                **_intervals(name, list(folder.scores(name).values())),
                "speed": speeds.get(name),
                "verdict": verdicts.get(name),
            }
            for name, arm in comparison.arms.items()
        },
    }


def _verdicts(folder: ComparisonFolder) -> dict[str, dict[str, Any]]:
    comparison = folder.comparison
    scores = {name: folder.scores(name) for name in comparison.arms}
    judged: list[Candidate] = []
    verdicts: dict[str, dict[str, Any]] = {}
    random = folder.random_score()
    for name, arm in comparison.arms.items():
        if arm.kind != "arm":
            continue
        needed = [name, *rivals_of(folder, name)]
        lacking = [one for one in needed if not set(scores[one]) & set(scores[name])]
        shared = set.intersection(*(set(scores[one]) for one in needed))
        if random is None or not shared:
            what = f"{lacking} and {name!r}" if lacking else f"all of {needed}"
            why = f"no seed of {what} has finished" if not shared else "no random policy was played"
            verdicts[name] = {"outcome": "no evidence", "reason": f"{why}."}
            continue
        controls = tuple(_scored(one, scores[one]) for one in needed[2:])
        judged.append(Candidate(_scored(name, scores[name]), controls))
    if judged and random is not None:
        baseline = _scored(comparison.baseline, scores[comparison.baseline])
        reference = Reference(random, comparison.reference.best_known)
        verdicts |= {one.arm: asdict(one) for one in judge(judged, baseline, reference)}
    return verdicts


def _scored(name: str, scores: Mapping[int, float]) -> Arm:
    return Arm(name, tuple(scores), np.array(list(scores.values()), dtype=np.float64))


def _intervals(name: str, scores: list[float]) -> dict[str, Any]:
    if not scores:
        return {"mean": None, "interquartile_mean": None}
    found = {}
    for statistic in (mean, interquartile_mean):
        generator = np.random.default_rng(derive_seed("results", name, statistic.__name__))
        interval = bootstrap_interval(scores, statistic=statistic, generator=generator)
        found[statistic.__name__] = asdict(interval)
    return found


def _plain(value: Any) -> Any:
    """Return a value as JSON knows it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
