"""The run folder of a training: a new one, or that of a run that goes on."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from dragoman.engines.engine import Engine, engine_named
from dragoman.errors import ConfigError, RunError
from dragoman.experiment import Experiment
from dragoman.experiment.budget import Budget
from dragoman.files import free_name, refuse_taken
from dragoman.run import Run, RunWriter, describe_machine
from dragoman.run.checkpoint import Checkpoint, read_checkpoint

CURE = "train into a new folder"


class ResumeWarning(UserWarning):
    """A training that goes on, but perhaps not to the last digit."""


@dataclass(frozen=True)
class New:
    """A folder to make.

    Attributes:
        path: What it is to be called.
        counts: Whether a number is put behind the name where it is taken.
    """

    path: Path
    counts: bool
    found: ClassVar[None] = None

    @classmethod
    def of(cls, out: str | Path | None, name: str) -> New:
        """Return the folder that the user has named, or one of this name.

        Raises:
            RunError: The one that the user has named is taken.
        """
        if out:
            refuse_taken(Path(out))
            return cls(Path(out), counts=False)
        # A namespace would make a folder of its own.
        return cls(Path("runs", name.replace("/", "-")), counts=True)

    def writer(self, experiment: Experiment, seed: int, compute: Mapping[str, Any]) -> RunWriter:
        """Take the folder; where names count up, the first that no other training has taken."""
        while True:
            folder = free_name(self.path) if self.counts else self.path
            try:
                return RunWriter(folder, experiment, seed, compute)
            except RunError:
                if not self.counts or free_name(self.path) == folder:
                    raise


@dataclass(frozen=True)
class Resumed:
    """A run that is to go on.

    Attributes:
        run: The run.
        engine: What trains it.
        found: The checkpoint that it goes on from; nothing where it begins again.
    """

    run: Run
    engine: Engine
    found: Checkpoint | None

    @classmethod
    def of(
        cls,
        resume: Run | str | Path,
        engine: str | Engine | None,
        trust_code: bool,
        given: Mapping[str, Any],
    ) -> Resumed:
        """Return a run with its newest checkpoint, and set the threads that it has computed with.

        Args:
            resume: The run, or its folder.
            engine: The engine that was asked for, if any.
            trust_code: The user's word for the code that its config names.
            given: What else was asked for, which a run says itself.

        Raises:
            ConfigError: Something was asked for that the run says itself, its engine cannot resume,
                or its code is not trusted.
            RunError: It has finished, is in training, or its config has changed.
        """
        run = resume if isinstance(resume, Run) else Run(resume)
        for name, value in given.items():
            if value:
                raise ConfigError(
                    f"{name} is {value!r}, but {run.path} says itself what it goes on with",
                    cure=f"leave {name} out, or train anew",
                )
        _refuse_state(run)
        chosen = _engine(run, engine)
        run.require_trust(trust_code)
        _warn_of_versions(run)
        torch.set_num_threads(run.environment.get("threads", torch.get_num_threads()))
        return cls(run, chosen, read_checkpoint(run.path))

    @property
    def budget(self) -> Budget | None:
        """What ends the training instead of a number of steps."""
        budget = self.run.environment.get("budget")
        return None if budget is None else Budget(**budget)

    @property
    def path(self) -> Path:
        """The folder."""
        return self.run.path

    def writer(self, experiment: Experiment, seed: int, compute: Mapping[str, Any]) -> RunWriter:
        """Go on writing the run.

        Raises:
            RunError: It was begun with another language model or describer, or is in training.
        """
        for name, what in (
            ("model_fingerprint", "a language model whose weights have the fingerprint"),
            ("describer", "the describer"),
        ):
            before, now = self.run.environment.get(name), compute.get(name)
            if before != now:
                raise RunError(
                    f"{self.run.path} was begun with {what} {before}, and now it is {now}",
                    cure=f"give the same again, or {CURE}",
                )
        return RunWriter.resuming(self.run, self.found)


def _refuse_state(run: Run) -> None:
    if run.status == "finished":
        raise RunError(
            f"{run.path} has finished its {run.steps:,} steps, so there is nothing to resume",
            cure=f"{CURE} with more steps",
        )
    if run.status == "running":
        raise RunError(
            f"{run.path} is in training: its process has just given a sign of life",
            cure="stop that process first, or wait; status.json says its number and host",
        )
    if run.environment.get("config", run.config_digest) != run.config_digest:
        raise RunError(
            f"{run.path / 'config.yaml'} is not what the run was begun with, and a run is "
            "trained by one config from its first step to its last",
            cure=f"bring the file back, or {CURE} by the changed one",
        )


def _engine(run: Run, engine: str | Engine | None) -> Engine:
    name = run.environment.get("engine", "sb3")
    # Named alone, it goes on with as many processes as before.
    chosen = recorded(run) if engine in (None, name) else engine_named(engine)
    if chosen.name != name:
        raise ConfigError(
            f"{run.path} was begun with the engine {name}, and {chosen.name} cannot go on with it",
            cure=f"name no engine, or {CURE}",
        )
    if not chosen.can_resume:
        raise ConfigError(
            f"{run.path} is trained by the engine {name}, whose trainings cannot be resumed",
            cure=f"{CURE}; what must survive a stop is trained by the engines sb3 and rllib",
        )
    return chosen


def recorded(run: Run) -> Engine:
    """Return the engine that a run was begun with, with as many processes."""
    engine = engine_named(run.environment.get("engine", "sb3"))
    own = {key: run.environment[key] for key in engine.record if key in run.environment}
    return type(engine)(**own)


def _warn_of_versions(run: Run) -> None:
    versions = run.environment.get("versions", {})
    for name, version in describe_machine()["versions"].items():
        if versions.get(name, version) != version:
            warnings.warn(
                f"{run.path} was begun with {name} {versions[name]} and goes on with {version}: "
                "its last digits may not be those of a straight training",
                ResumeWarning,
                stacklevel=4,
            )
