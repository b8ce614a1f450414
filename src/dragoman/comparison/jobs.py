"""What a comparison asks its processes to do: train and evaluate one run, or play at random.

This module is imported by every new process before it knows its task, so it loads nothing heavy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dragoman.comparison.comparison import EvaluationSettings
from dragoman.comparison.folder import SAMPLE
from dragoman.engines.watcher import Stop, Training, Watcher
from dragoman.experiment import Experiment
from dragoman.experiment.budget import Budget
from dragoman.files import write_json
from dragoman.run import Run
from dragoman.types import Info

if TYPE_CHECKING:
    from dragoman.engines.engine import Engine

EVALUATION_SEED = 0
"""Names the set of episodes that every arm, seed and the random policy are evaluated on."""

REPORT_SECONDS = 0.3

OnSteps = Callable[[int], None]
"""Called with the environment steps taken so far."""


class Job(Protocol):
    """Something to be done in another process."""

    @property
    def folder(self) -> Path:
        """Where an error is written to."""
        ...

    def run(self, on_steps: OnSteps) -> None:
        """Do it."""
        ...


@dataclass(frozen=True)
class TrainJob:
    """Train and evaluate one seed of one arm.

    Attributes:
        arm: Name of the arm.
        seed: Seed of the training.
        folder: Run folder to make. One whose training has finished is only evaluated, and one whose
            training was stopped or killed is resumed.
        experiment: What to train, as plain data.
        evaluation: How to evaluate it.
        budget: What ends the training instead of the number of steps.
        threads: Threads of this process.
        trust_code: Evaluate a run that was trained elsewhere, whatever code its config names.
        engine: What trains; Stable-Baselines3 unless given.
    """

    arm: str
    seed: int
    folder: Path
    experiment: Mapping[str, Any]
    evaluation: EvaluationSettings
    budget: Budget | None
    threads: int
    trust_code: bool = False
    engine: Engine | None = None

    def run(self, on_steps: OnSteps) -> None:
        """Train as far as that is not done, then evaluate."""
        import torch

        from dragoman.agents.evaluate import Evaluation, evaluate
        from dragoman.engines.assembly import reader_of
        from dragoman.engines.train import train

        torch.set_num_threads(self.threads)
        experiment = Experiment.from_dict(self.experiment)
        if experiment.model.threads is None:
            experiment = experiment.replaced({"model.threads": self.threads})
        # Loaded once for training and both evaluations.
        model = reader_of(experiment, self.seed)
        run = Run(self.folder) if (self.folder / "status.json").is_file() else None
        watchers = [_StepReport(on_steps)]
        if run is None:
            run = train(
                experiment,
                self.seed,
                out=self.folder,
                model=model,
                budget=self.budget,
                engine=self.engine,
                watchers=watchers,
                progress=False,
            )
        elif run.status != "finished":
            run = train(
                model=model,
                engine=self.engine,
                watchers=watchers,
                progress=False,
                resume=run,
                trust_code=self.trust_code,
            )

        def play(sampled: bool = False, shift: str | None = None) -> Evaluation:
            return evaluate(
                run,
                self.evaluation.episodes,
                seed=EVALUATION_SEED,
                sampled=sampled,
                shift=self.evaluation.changes(shift),
                model=model,
                trust_code=self.trust_code,
                progress=False,
            )

        greedy = play()
        judged = self.evaluation.judged == "sampled"
        write_json(
            self.folder / "evaluation.json",
            {
                "episodes": self.evaluation.episodes,
                "seed": EVALUATION_SEED,
                "returns": greedy.returns,
                "lengths": [episode.length for episode in greedy.episodes],
                "stopped": greedy.stopped,
                "sampled_returns": play(sampled=True).returns if self.evaluation.sampled else [],
                "shifts": {shift: play(judged, shift).returns for shift in self.evaluation.shifts},
            },
        )


@dataclass(frozen=True)
class RandomJob:
    """Play the uniformly random policy on the episodes that all arms are evaluated on.

    Attributes:
        folder: Folder of the comparison, for ``random.json``.
        experiment: Whose environment to play, as plain data.
        evaluation: Which episodes.
        reader: The experiment of the arm of whose texts a sample is kept, as plain data.
    """

    folder: Path
    experiment: Mapping[str, Any]
    evaluation: EvaluationSettings
    reader: Mapping[str, Any]

    def run(self, on_steps: OnSteps) -> None:
        """Keep a sample of what is read, play, and write the returns."""
        from dragoman.agents.evaluate import evaluate_random
        from dragoman.agents.sample import take_sample
        from dragoman.experiment.shift import shifted

        write_json(self.folder / SAMPLE, take_sample(Experiment.from_dict(self.reader)))

        experiment = Experiment.from_dict(self.experiment)
        episodes = self.evaluation.episodes

        def play(shift: str | None = None) -> list[float]:
            played = shifted(experiment, self.evaluation.changes(shift))
            return evaluate_random(played, episodes, seed=EVALUATION_SEED).returns

        write_json(
            self.folder / "random.json",
            {
                "episodes": episodes,
                "returns": play(),
                "shifts": {shift: play(shift) for shift in self.evaluation.shifts},
            },
        )


class _StepReport(Watcher):
    """Reports the steps taken a few times a second."""

    def __init__(self, on_steps: OnSteps) -> None:
        self._on_steps = on_steps
        self._last = time.monotonic()

    def step(self, training: Training, infos: Sequence[Info]) -> Stop:
        if time.monotonic() - self._last > REPORT_SECONDS:
            self._on_steps(training.steps)
            self._last = time.monotonic()
        return None
