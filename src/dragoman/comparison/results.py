"""From run folders to ``results.json``: all numbers and sentences of a comparison's report.

``format`` is the version of this list. Of the comparison: ``name``, ``env``, ``algorithm``,
``steps``, ``budget``, ``seeds``, ``episodes`` evaluated a run, how they were played that are
``judged`` (``greedy`` or ``sampled``), ``random`` (mean return of the random policy), ``shifts`` by
name (``changes``, ``random``), ``reference``, ``threshold``, ``window`` (see
`dragoman.comparison.speed`), ``sample`` of what the model reads (see `dragoman.agents.sample`),
``dates`` on which the first and the last run began, and ``versions`` of software and machine.
``sources`` has a digest of the files behind the results.

For each arm ``kind``, ``role``, ``about``, ``prior``, ``differences`` (key: value, the base's
value) and ``problems`` (seed, what is missing); by seed ``status``, ``scores`` (mean return, as
judged), ``greedy_scores``, ``sampled_scores`` and ``costs``; ``mean`` and ``interquartile_mean``
with their intervals, ``greedy_mean``, ``sampled_mean``, ``worst``, ``best``, ``mean_costs`` (see
`dragoman.comparison.costs`); the learning ``curve`` over seeds; ``shifts`` (see
`dragoman.comparison.shifts`); with a threshold ``speed``; and for those that are judged
``verdict``, whose ``outcome``, ``reason``, ``summary`` in plain words and ``is_final`` (no run of
the family is still to come) are always there, with all the numbers of
`dragoman.comparison.verdict.Verdict` where there was something to judge. What is infinite or
unknown is null.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from dragoman.comparison.comparison import Arm, Comparison
from dragoman.comparison.costs import costs_over
from dragoman.comparison.folder import (
    FILE_NAME,
    RETURNS,
    SAMPLE,
    ComparisonFolder,
    costs_of,
    scores_of,
)
from dragoman.comparison.scores import Scores
from dragoman.comparison.shifts import shifts_of
from dragoman.comparison.speed import WINDOW, speeds_of
from dragoman.comparison.summary import summary
from dragoman.comparison.verdict import judge
from dragoman.errors import RunError
from dragoman.experiment import Experiment
from dragoman.files import read_json, write_json
from dragoman.maths.seeds import derive_seed
from dragoman.run import Run
from dragoman.stats.aggregates import interquartile_mean, mean
from dragoman.stats.bootstrap import bootstrap_interval

log = logging.getLogger(__name__)

FORMAT = 5
"""Raise it with any change of what ``results.json`` says; 1 had no number."""

POINTS = 30
"""Points of a learning curve."""

CURVE_RESAMPLES = 2000

MASKS = {
    "obeyed": "which actions are valid",
    "ignored": "not which actions are valid: its algorithm cannot keep to them, as the random "
    "policy does",
}
"""What an ``env.json`` says under ``masks``, in words."""


def read_results(folder: ComparisonFolder) -> dict[str, Any]:
    """Return what ``results.json`` says, made again where a run has changed since.

    A run folder that is gone changes nothing: its results stay.

    Raises:
        RunError: A newer Dragoman has written it.
    """
    file = folder.path / "results.json"
    try:
        results = read_json(file, cure="")
    except RunError:
        results = {}  # missing or damaged
    version = results.get("format", 1)
    if isinstance(version, int) and version > FORMAT:
        raise RunError(
            f"{file} has format {version}, and this version of Dragoman reads up to {FORMAT}",
            cure="update Dragoman, or remove the file to compute the results again",
        )
    if version == FORMAT and _sources(folder).items() <= results.get("sources", {}).items():
        return results
    try:
        return write_results(folder)
    except OSError as error:
        log.warning("results are not kept: %s", error)
        return results_of(folder)


def outcome_of(arm: Mapping[str, Any]) -> str:
    """Return what the verdict on an arm of the results is; empty where it is not judged."""
    return str(arm["verdict"]["outcome"]) if arm["verdict"] else ""


def write_results(folder: ComparisonFolder) -> dict[str, Any]:
    """Judge what has finished, write ``results.json`` and return what it holds."""
    results = results_of(folder)
    write_json(folder.path / "results.json", results)
    return results


def results_of(folder: ComparisonFolder) -> dict[str, Any]:
    """Compute what ``results.json`` holds from what has finished."""
    comparison = folder.comparison
    base = Experiment.from_dict(comparison.base)
    sources = _sources(folder)  # before anything is read, so that a later change shows
    looks = {
        name: {seed: folder.look(name, seed) for seed in comparison.seeds}
        for name in comparison.arms
    }
    runs = {
        name: {seed: run for seed, (status, run) in of_arm.items() if run and status == "finished"}
        for name, of_arm in looks.items()
    }
    evaluations = {
        name: {seed: folder.evaluation(name, seed) for seed in of_arm}
        for name, of_arm in runs.items()
    }
    judged = comparison.evaluation.judged
    scores = {name: scores_of(of_arm, judged) for name, of_arm in evaluations.items()}
    random = folder.random_score()
    at_random = (folder.random() or {}).get("shifts", {})
    speeds = speeds_of(comparison, runs)
    statuses = {name: {seed: look[0] for seed, look in looks[name].items()} for name in looks}
    verdicts = _verdicts(comparison, scores, random, statuses)
    results = {
        "format": FORMAT,
        "name": comparison.name,
        "env": base.env,
        "algorithm": base.algorithm.name,
        "steps": base.steps,
        "budget": comparison.budget,
        "seeds": comparison.seeds,
        "episodes": comparison.evaluation.episodes,
        "judged": judged,
        "random": random,
        "reference": asdict(comparison.reference),
        "shifts": {
            name: {
                "changes": shift,
                "random": float(np.mean(at_random[name])) if name in at_random else None,
            }
            for name, shift in comparison.evaluation.shifts.items()
        },
        "threshold": comparison.threshold,
        "window": WINDOW,
        "arms": {
            name: {
                **_description(comparison, name, base.to_dict(), runs[name]),
                "status": statuses[name],
                "problems": list(
                    _problems(folder, name, statuses[name], runs[name], evaluations[name])
                ),
                **_scores(name, scores[name]),
                **_by_play(evaluations[name]),
                **costs_over({seed: costs_of(run) for seed, run in runs[name].items()}),
                "shifts": shifts_of(
                    name, comparison.evaluation.shifts, evaluations[name], scores[name]
                ),
                "curve": _curve(name, runs[name].values()),
                "speed": speeds.get(name),
                "verdict": verdicts.get(name),
            }
            for name in comparison.arms
        },
        "sample": folder.sample(),
        "dates": _dates(run for of_arm in runs.values() for run in of_arm.values()),
        "versions": _versions(run for of_arm in runs.values() for run in of_arm.values()),
        "sources": sources,
    }
    plain: dict[str, Any] = _plain(results)
    return plain


def _sources(folder: ComparisonFolder) -> dict[str, int]:
    """Return a digest of the small files that change whenever the results may."""
    sources = {
        name: zlib.crc32((folder.path / name).read_bytes())
        for name in (FILE_NAME, "random.json", SAMPLE)
        if (folder.path / name).is_file()
    }
    for arm in folder.arms():
        for seed in folder.comparison.seeds:
            run = folder.run_folder(arm, seed)
            names = ("status.json", "evaluation.json", "error.txt")
            files = [run / name for name in names if (run / name).is_file()]
            if files:
                content = b"".join(file.read_bytes() for file in files)
                sources[f"{arm}/{seed}"] = zlib.crc32(content)
    return sources


def _description(
    comparison: Comparison, name: str, base: Mapping[str, Any], runs: Mapping[int, Run]
) -> dict[str, Any]:
    """Return what an arm is, and how its runs differ from the base."""
    arm: Arm = comparison.arms[name]
    masks = {run.environment.get("masks") for run in runs.values()}
    prior = (arm.prior, *(words for key, words in MASKS.items() if key in masks))
    differences: dict[str, Any] = {}
    # From the runs rather than from the plan, where there are any.
    for experiment in [run.experiment for run in runs.values()] or [comparison.experiment(name)]:
        differences |= _differences(experiment.to_dict(), base)
    return {
        "kind": arm.kind,
        "role": arm.role,
        "about": arm.about,
        "prior": "; ".join(filter(None, prior)),
        "differences": differences,
    }


def _differences(
    data: Mapping[str, Any], base: Mapping[str, Any], prefix: str = ""
) -> dict[str, tuple[Any, Any]]:
    """Return value and base value by dotted key, wherever nested data differs from a base."""
    differences: dict[str, tuple[Any, Any]] = {}
    for key in dict.fromkeys((*base, *data)):
        value, usual = data.get(key), base.get(key)
        if isinstance(value, Mapping) and isinstance(usual, Mapping):
            differences |= _differences(value, usual, f"{prefix}{key}.")
        elif value != usual:
            differences[f"{prefix}{key}"] = (value, usual)
    return differences


def _problems(
    folder: ComparisonFolder,
    name: str,
    statuses: Mapping[int, str],
    runs: Mapping[int, Run],
    evaluations: Mapping[int, Mapping[str, Any]],
) -> Iterator[tuple[int, str]]:
    """Yield each seed that has no score or only part of one, and why."""
    for seed, status in statuses.items():
        if status == "failed":
            file = folder.run_folder(name, seed) / "error.txt"
            text = file.read_text(encoding="utf-8", errors="replace").strip()
            yield seed, f"failed: {text.rpartition(chr(10))[2] or 'it left no message'}"
        elif status != "finished":
            yield seed, status
    for seed, run in runs.items():
        if not run.episodes():
            yield seed, "no episode of the training has ended, so it has no learning curve"
        evaluation = evaluations[seed]
        if evaluation.get("stopped"):
            yield (
                seed,
                f"{evaluation['stopped']} of {evaluation['episodes']} evaluated episodes had not "
                f"ended after {max(evaluation['lengths']):,} steps and were stopped there",
            )


def _verdicts(
    comparison: Comparison,
    scores: Mapping[str, Mapping[int, float]],
    random: float | None,
    statuses: Mapping[str, Mapping[int, str]],
) -> dict[str, dict[str, Any]]:
    verdicts: dict[str, dict[str, Any]] = {}
    families = []
    for name in (name for name, arm in comparison.arms.items() if arm.kind == "arm"):
        names = [name, *comparison.opponents(name)]
        shared = set.intersection(*(set(scores[item]) for item in names))
        if random is not None and shared:
            families.append([Scores.by_seed(item, scores[item]) for item in names])
            continue
        why = "no random policy was played"
        if not shared:
            lacking = [item for item in names if not set(scores[item]) & set(scores[name])]
            is_alone = lacking and scores[name]
            what = f"{lacking} and {name!r}" if is_alone else f"all of {names}"
            why = f"no seed of {what} has finished"
        reason = f"{why}."
        verdicts[name] = {
            "outcome": "no evidence",
            "reason": reason,
            "summary": f"No verdict yet: {reason}",
        }
    if families and random is not None:
        judged = judge(families, random=random, best=comparison.reference.best_known)
        verdicts |= {
            verdict.arm: {**asdict(verdict), "summary": summary(verdict, comparison.arms)}
            for verdict in judged
        }
    for name, verdict in verdicts.items():
        family = [name, *comparison.opponents(name)]
        # A run that failed stays away, whatever is waited for.
        states = {state for item in family for state in statuses[item].values()}
        verdict["is_final"] = states <= {"finished", "failed"}
    return verdicts


def _scores(name: str, scores: Mapping[int, float]) -> dict[str, Any]:
    values = list(scores.values())
    intervals: dict[str, Any] = {}
    for statistic in (mean, interquartile_mean):
        generator = np.random.default_rng(derive_seed("results", name, statistic.__name__))
        intervals[statistic.__name__] = (
            asdict(bootstrap_interval(values, statistic=statistic, generator=generator))
            if values
            else None
        )
    return {
        "scores": scores,
        **intervals,
        "worst": min(values, default=None),
        "best": max(values, default=None),
    }


def _by_play(evaluations: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Return scores by seed and their mean, of greedy and of sampled actions."""
    said: dict[str, Any] = {}
    for play in RETURNS:
        scores = scores_of(evaluations, play)
        said[f"{play}_scores"] = scores
        said[f"{play}_mean"] = float(np.mean(list(scores.values()))) if scores else None
    return said


def _curve(name: str, runs: Iterable[Run]) -> dict[str, list[float]] | None:
    """Return the interquartile mean of the training's returns over seeds, with its interval."""
    curves = [curve for run in runs if len((curve := run.curve(POINTS))[0])]
    if not curves:
        return None
    # Where only some runs have come, a mean over fewer would jump.
    start, end = max(steps[0] for steps, _ in curves), min(steps[-1] for steps, _ in curves)
    grid = np.linspace(start, end, POINTS)
    table = np.array([np.interp(grid, steps, returns) for steps, returns in curves])  # (R, POINTS)
    intervals = [
        bootstrap_interval(
            column,
            statistic=interquartile_mean,
            # The same draws at every step, so that a band is as smooth as its curve.
            generator=np.random.default_rng(derive_seed("band", name)),
            method="percentile",
            resamples=CURVE_RESAMPLES,
        )
        for column in table.T
    ]
    return {
        "steps": grid.tolist(),
        "center": [interval.estimate for interval in intervals],
        "low": [interval.low for interval in intervals],
        "high": [interval.high for interval in intervals],
    }


def _dates(runs: Iterable[Run]) -> tuple[str, str] | None:
    """Return when the first and the last of the runs began; older runs do not say it."""
    dates = sorted(date for run in runs if (date := run.environment.get("date")))
    return (dates[0], dates[-1]) if dates else None


def _versions(runs: Iterable[Run]) -> dict[str, list[str]]:
    """Return the distinct values of each version and machine fact, over all runs."""
    versions: dict[str, dict[str, None]] = {}
    for run in runs:
        environment = run.environment
        facts = {
            key: str(environment[key])
            for key in ("engine", "python", "platform", "processor", "device", "dtype", "threads")
            if environment.get(key) is not None
        }
        git = environment.get("git")
        if git is not None:
            facts["git"] = git["commit"][:12] + (" with local changes" if git["dirty"] else "")
        for key, value in {**facts, **environment["versions"]}.items():
            versions.setdefault(key, {})[str(value)] = None
    return {key: list(values) for key, values in versions.items()}


def _plain(value: Any) -> Any:
    """Return a value as JSON knows it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
