"""The folder of a comparison.

comparison.yaml     the comparison, with everything that was added by itself
ARM/SEED/           a run folder, see `dragoman.run`, and next to its files
    evaluation.json what the trained agent earned on unseen episodes, greedy and sampled
    error.txt       why the run failed, instead
sample.json         what the model reads of one state, see `dragoman.agents.sample`
random.json         what the uniformly random policy earned on the same episodes
results.json        everything that a report says, see `dragoman.comparison.results`
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dragoman.comparison.comparison import Arm, Comparison, Play
from dragoman.errors import ConfigError, RunError
from dragoman.experiment import Experiment
from dragoman.files import read_json, write_text
from dragoman.run import Run
from dragoman.settings import flat

Progress: TypeAlias = Literal[
    "finished", "running", "unevaluated", "missing", "interrupted", "died", "failed"
]

FILE_NAME = "comparison.yaml"
SAMPLE = "sample.json"
CURE = "remove its folder and compare again"
COSTS = {
    "tokens": "model/tokens",
    "texts": "model/texts",
    "texts_remembered": "model/texts_remembered",
    "texts_from_disk": "model/texts_from_disk",
    "seconds": "time/seconds",
    "model_seconds": "time/model_seconds",
    "gigaflops": "model/gigaflops",
}
"""What results call them, and their columns in the metrics."""


class ComparisonFolder:
    """The folder of a comparison, opened for reading; neither needs nor loads a model.

    Args:
        path: The folder.

    Raises:
        RunError: It is missing or holds no comparison.

    Attributes:
        comparison: What is compared.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / FILE_NAME).is_file():
            raise RunError(
                f"{self.path} has no {FILE_NAME}: it is no folder of a comparison",
                cure="name the folder that 'dragoman compare --out' has made",
            )
        self.comparison = Comparison.from_yaml(self.path / FILE_NAME)

    def __repr__(self) -> str:
        return f"ComparisonFolder({str(self.path)!r})"

    def arms(self) -> Mapping[str, Arm]:
        """Return the arms by name."""
        return self.comparison.arms

    def run_folder(self, arm: str, seed: int) -> Path:
        """Return where a run is, or will be."""
        return self.path / arm / str(seed)

    def status(self, arm: str, seed: int) -> Progress:
        """Return how far a run has come; ``finished`` means trained and evaluated."""
        return self.look(arm, seed)[0]

    def look(self, arm: str, seed: int) -> tuple[Progress, Run | None]:
        """Return how far a run has come, and the run where it can be read."""
        folder = self.run_folder(arm, seed)
        if not folder.is_dir():
            return "missing", None
        if (folder / "error.txt").is_file():
            return "failed", None
        try:
            run = Run(folder)
            status = run.status
        except (ConfigError, RunError):
            return "interrupted", None
        if status == "finished" and not self._is_evaluated(arm, seed):
            return "unevaluated", run
        return status, run

    def runs(self, arm: str) -> dict[int, Run]:
        """Return the finished runs of an arm by seed."""
        looks = {seed: self.look(arm, seed) for seed in self.comparison.seeds}
        return {seed: run for seed, (status, run) in looks.items() if run and status == "finished"}

    def evaluation(self, arm: str, seed: int) -> dict[str, Any]:
        """Return what ``evaluation.json`` of a finished run says."""
        return read_json(self.run_folder(arm, seed) / "evaluation.json", cure=CURE)

    def scores(self, arm: str) -> dict[int, float]:
        """Return the mean evaluated return of each finished run of an arm by seed, as judged."""
        evaluations = {seed: self.evaluation(arm, seed) for seed in self.runs(arm)}
        return scores_of(evaluations, self.comparison.evaluation.judged)

    def curve(
        self, arm: str, seed: int, *, bins: int = 60
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return steps and mean returns of the training episodes of a run, see `Run.curve`."""
        return Run(self.run_folder(arm, seed)).curve(bins)

    def costs(self, arm: str, seed: int) -> dict[str, float]:
        """Return what a run has cost: tokens, texts, seconds, gigaflops, steps."""
        return costs_of(Run(self.run_folder(arm, seed)))

    def _is_evaluated(self, arm: str, seed: int) -> bool:
        """Return whether a run was played, under every shift that is asked for now too."""
        wanted = set(self.comparison.evaluation.shifts)
        there = (self.run_folder(arm, seed) / "evaluation.json").is_file()
        return there and (not wanted or wanted <= set(self.evaluation(arm, seed).get("shifts", ())))

    def has_played_at_random(self) -> bool:
        """Return whether the random policy has played all that is asked for now."""
        random = self.random()
        wanted = set(self.comparison.evaluation.shifts)
        return random is not None and wanted <= set(random.get("shifts", ()))

    def random(self) -> dict[str, Any] | None:
        """Return what ``random.json`` says, once the random policy has played."""
        file = self.path / "random.json"
        return read_json(file, cure="remove it and compare again") if file.is_file() else None

    def sample(self) -> dict[str, Any] | None:
        """Return what ``sample.json`` says, once it is there; older comparisons have none."""
        file = self.path / SAMPLE
        return read_json(file, cure="remove it, and random.json") if file.is_file() else None

    def random_score(self) -> float | None:
        """Return the mean return of the random policy, once it has played."""
        random = self.random()
        return None if random is None else float(np.mean(random["returns"]))


RETURNS: dict[Play, str] = {"greedy": "returns", "sampled": "sampled_returns"}
"""Keys of ``evaluation.json``."""


def scores_of(evaluations: Mapping[int, Mapping[str, Any]], play: Play) -> dict[int, float]:
    """Return the mean evaluated return by seed, of what ``evaluation.json`` says by seed."""
    key = RETURNS[play]
    return {seed: float(np.mean(value[key])) for seed, value in evaluations.items() if value[key]}


def costs_of(run: Run) -> dict[str, float]:
    """Return what a run has cost by name, see `COSTS`, and its steps."""
    row = run.last_metrics()
    costs = {name: float(row.get(column) or 0) for name, column in COSTS.items()}
    if costs["texts"] and COSTS["texts_from_disk"] not in row:
        costs["texts_from_disk"] = np.nan  # older runs do not say it
    return {**costs, "steps": float(run.steps)}


def with_seeds_of(folder: str | Path, comparison: Comparison) -> Comparison:
    """Return a comparison with the seeds too that it has in this folder, if it is there."""
    if not (Path(folder) / FILE_NAME).is_file():
        return comparison
    before = ComparisonFolder(folder).comparison.seeds
    return replace(comparison, seeds=tuple(dict.fromkeys((*before, *comparison.seeds))))


def keep(folder: str | Path, comparison: Comparison) -> ComparisonFolder:
    """Write a comparison into its folder, or let the one that is there grow.

    Seeds, arms and shifts may be added to a comparison. What its runs have been trained with may
    not change, since old and new runs would no longer be comparable; a precision that is settled
    stays, whatever machine goes on.

    Raises:
        ConfigError: The folder holds another comparison, whose differences the message names, or
            another engine has trained its runs.
    """
    path = Path(folder)
    if (path / FILE_NAME).is_file():
        before = ComparisonFolder(path).comparison
        if before.engine != comparison.engine:
            raise ConfigError(
                f"the runs of {path} are trained by the engine {before.engine}, and now "
                f"{comparison.engine} is to train: their differences would not be the arms' alone",
                cure=f"go on with engine {before.engine}, or compare into another folder with "
                "--out",
            )
        changes = _changes(before, comparison)
        if changes:
            raise ConfigError(
                f"{path} holds another comparison: " + "; ".join(changes),
                cure="compare into another folder with --out, or change the file back",
            )
        comparison = replace(
            with_seeds_of(path, comparison), precision=before.precision or comparison.precision
        )
    write_text(path / FILE_NAME, comparison.to_yaml())
    return ComparisonFolder(path)


def _changes(before: Comparison, now: Comparison) -> list[str]:
    old, new = _deciding(before), _deciding(now)
    # Arms and shifts may be added, but then all of their keys are new.
    arms, shifts = set(now.arms) - set(before.arms), _shifts(now) - _shifts(before)
    added = (*(f"arms.{name}." for name in arms), *(f"evaluation.shifts.{one}." for one in shifts))
    absent = "nothing"
    return [
        f"{key} was {old.get(key, absent)!r} and is {new.get(key, absent)!r}"
        for key in {**old, **new}
        # By their texts, since NaN is not even equal to itself.
        if not key.startswith(added) and repr(old.get(key, absent)) != repr(new.get(key, absent))
    ]


def _deciding(comparison: Comparison) -> dict[str, Any]:
    """Return what decides the runs of a comparison, by dotted key."""
    data = comparison.to_dict()
    # As this version writes it: older ones knew fewer keys, and who is told decides nothing.
    data["base"] = replace(Experiment.from_dict(data["base"]), track=()).to_dict()
    arms = {
        name: {"kind": arm["kind"], "overrides": arm["overrides"]}
        for name, arm in data["arms"].items()
    }
    kept = {key: data[key] for key in ("base", "evaluation", "budget")}
    if not _shifts(comparison):
        del kept["evaluation"]["shifts"]  # or none would count as one that is then taken away
    return flat({**kept, "arms": arms, "first arm": next(iter(arms))})


def _shifts(comparison: Comparison) -> set[str]:
    return set(comparison.evaluation.shifts)
