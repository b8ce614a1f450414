"""A comparison's folder, read for the report: arms, scores, curves, costs and verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dragoman.comparison.comparison import COSTS, Arm, Comparison, ComparisonFolder
from dragoman.comparison.results import results_of
from dragoman.experiment import Experiment
from dragoman.maths.seeds import derive_seed
from dragoman.run import Run
from dragoman.stats.aggregates import interquartile_mean
from dragoman.stats.bootstrap import Interval, bootstrap_interval
from dragoman.stats.curves import Curve, on_grid

BINS = 30
"""Points of a learning curve."""

BAND_RESAMPLES = 2000


@dataclass(frozen=True)
class Band:
    """A learning curve over seeds: the interquartile mean and its bootstrap interval.

    Attributes:
        steps: Environment steps, ``(G,)``.
        center: Interquartile mean over seeds, ``(G,)``.
        low: Lower limit of the 95 % interval, ``(G,)``.
        high: Upper limit, ``(G,)``.
    """

    steps: np.ndarray
    center: np.ndarray
    low: np.ndarray
    high: np.ndarray


MASKS = {
    "obeyed": "which actions are admissible",
    "ignored": "not which actions are admissible: its algorithm cannot keep to them, as the random "
    "policy does",
}
"""What an ``env.json`` says under ``masks``, in words."""


class ArmResults:
    """One arm of a comparison and what its runs left.

    Args:
        folder: The comparison's folder.
        name: Name of the arm.
        results: What the comparison's results say of the arm.
    """

    def __init__(self, folder: ComparisonFolder, name: str, results: Mapping[str, Any]) -> None:
        self.name = name
        self.arm: Arm = folder.arms()[name]
        self.verdict: Mapping[str, Any] | None = results["verdict"]
        self.speed: Mapping[str, Any] | None = results["speed"]
        self.interquartile_mean = _interval(results["interquartile_mean"])
        self._folder = folder
        self._sampled_scores: Mapping[int, float] = results["sampled_scores"]
        self.scores: Mapping[int, float] = results["scores"]
        self.status: Mapping[int, str] = results["status"]
        self._costs: Mapping[int, Mapping[str, float]] = results["costs"]

    @cached_property
    def runs(self) -> dict[int, Run]:
        """The finished runs by seed."""
        return self._folder.runs(self.name)

    @property
    def prior(self) -> str:
        """One line of what prior knowledge it was given, which actions are admissible included."""
        told = {run.environment.get("masks") for run in self.runs.values()}
        masks = [words for one, words in MASKS.items() if one in told]
        return "; ".join(filter(None, (self.arm.prior, *masks)))

    @property
    def sampled_mean(self) -> float | None:
        """Mean score of actions drawn from the policy, where those were played."""
        scores = list(self._sampled_scores.values())
        return float(np.mean(scores)) if scores else None

    def costs(self) -> dict[str, float | None]:
        """Return each cost as the mean over runs; nothing where no model was asked."""
        columns = ("steps", *COSTS)
        if not self._costs:
            return dict.fromkeys(columns)
        means = {
            key: float(np.mean([costs[key] for costs in self._costs.values()])) for key in columns
        }
        if means["texts"]:
            return dict(means)
        return {key: means[key] if key in ("steps", "seconds") else None for key in columns}

    def band(self) -> Band | None:
        """Return the learning curve of the training episodes over seeds."""
        points = [run.curve(BINS) for run in self.runs.values()]
        curves = [Curve(steps, returns) for steps, returns in points if len(steps)]
        if not curves:
            return None
        # Where only some runs have come, a mean over fewer would jump.
        end = min(curve.steps[-1] for curve in curves)
        grid = np.linspace(max(curve.steps[0] for curve in curves), end, BINS)
        limits = [self._limits(column) for column in on_grid(curves, grid).T]
        center = np.array([one.estimate for one in limits])
        low, high = (np.array([getattr(one, side) for one in limits]) for side in ("low", "high"))
        return Band(grid, center, low, high)

    def problems(self) -> Iterator[tuple[int, str]]:
        """Yield each seed that has no score or only part of one, and why."""
        for seed, status in self.status.items():
            if status == "failed":
                yield seed, f"failed: {self._last_line(seed)}"
            elif status != "finished":
                yield seed, status
        for seed, run in self.runs.items():
            if not run.episodes():
                yield seed, "no episode of the training has ended, so it has no learning curve"
            told = self._folder.evaluation(self.name, seed)
            if told.get("stopped"):
                yield (
                    seed,
                    f"{told['stopped']} of {told['episodes']} evaluated episodes had not ended "
                    f"after {max(told['lengths']):,} steps and were stopped there",
                )

    def _last_line(self, seed: int) -> str:
        """Return the last line of the traceback that a worker has left."""
        file = self._folder.run_folder(self.name, seed) / "error.txt"
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        return text.strip().rpartition("\n")[2] or "it left no message"

    def _limits(self, values: np.ndarray) -> Interval:
        # The same draws at every step, so that a band is as smooth as its curve.
        generator = np.random.default_rng(derive_seed("band", self.name))
        return bootstrap_interval(
            values,
            statistic=interquartile_mean,
            generator=generator,
            method="percentile",
            resamples=BAND_RESAMPLES,
        )


class Results:
    """Everything that the report says, from the files of a comparison alone.

    Args:
        path: The comparison's folder.

    Raises:
        RunError: The folder is missing or holds no comparison.
    """

    def __init__(self, path: str | Path) -> None:
        folder = ComparisonFolder(path)
        results = results_of(folder)
        self.path = folder.path
        self.comparison: Comparison = folder.comparison
        self.base = Experiment.from_dict(self.comparison.base)
        self.random: float | None = results["random"]
        self.best: float | None = self.comparison.reference.best_known
        self.arms = [ArmResults(folder, name, told) for name, told in results["arms"].items()]

    def differences(self) -> Iterator[tuple[str, str, Any, Any]]:
        """Yield arm, key, its value and the base's, wherever an arm's runs differ from the base.

        An arm without a finished run is told from the comparison.
        """
        base = self.base.to_dict()
        for arm in self.arms:
            experiments = [run.experiment for run in arm.runs.values()]
            found: dict[str, tuple[Any, Any]] = {}
            for experiment in experiments or [self.comparison.experiment(arm.name)]:
                found |= _differences(experiment.to_dict(), base)
            for key, (value, usual) in found.items():
                yield arm.name, key, value, usual

    def versions(self) -> dict[str, list[str]]:
        """Return the distinct values of each version and machine fact, over all runs."""
        found: dict[str, dict[str, None]] = {}
        for arm in self.arms:
            for run in arm.runs.values():
                for key, value in _machine(run.environment).items():
                    found.setdefault(key, {})[value] = None
        return {key: list(values) for key, values in found.items()}

    def replays(self) -> list[str]:
        """Return the replay pages in the folder, as paths relative to it."""
        pages = sorted(self.path.rglob("replay*.html"))
        return [page.relative_to(self.path).as_posix() for page in pages]


def _interval(told: Mapping[str, Any] | None) -> Interval | None:
    return None if told is None else Interval(**told)


def _differences(
    data: Mapping[str, Any], base: Mapping[str, Any], prefix: str = ""
) -> dict[str, tuple[Any, Any]]:
    """Return value and base value by dotted key, wherever nested data differs from a base."""
    found: dict[str, tuple[Any, Any]] = {}
    for key in dict.fromkeys((*base, *data)):
        value, usual = data.get(key), base.get(key)
        if isinstance(value, Mapping) and isinstance(usual, Mapping):
            found |= _differences(value, usual, f"{prefix}{key}.")
        elif value != usual:
            found[f"{prefix}{key}"] = (value, usual)
    return found


def _machine(environment: Mapping[str, Any]) -> dict[str, str]:
    """Return the facts of an ``env.json`` that a reader wants, as text."""
    facts = {
        key: str(environment[key])
        for key in ("python", "platform", "processor", "device", "dtype", "threads")
        if environment.get(key) is not None
    }
    git = environment.get("git")
    if git is not None:
        facts["git"] = git["commit"][:12] + (" with local changes" if git["dirty"] else "")
    return facts | {key: str(value) for key, value in environment["versions"].items()}
