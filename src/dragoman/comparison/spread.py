"""The runs of a comparison as tasks of a Ray cluster, instead of processes of this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from dragoman.comparison.jobs import Job, TrainJob
from dragoman.comparison.workers import Report
from dragoman.errors import DragomanError, MissingExtraError
from dragoman.experiment import Experiment
from dragoman.files import packed, whole_folder, write_bytes
from dragoman.run import Run
from dragoman.run.trust import remember

if TYPE_CHECKING:
    from dragoman.engines.rllib.tasks import Tasks


class Spread:
    """Like `dragoman.comparison.workers.Workers`, on the nodes of a cluster.

    What a run has written there is brought to this machine when it has ended.

    Args:
        address: Of the cluster, ``auto`` or ``local``.
        most: Most runs at once; one a processor of the cluster unless given.

    Raises:
        MissingExtraError: Ray is not installed.
    """

    def __init__(self, address: str, most: int | None = None) -> None:
        try:
            from dragoman.engines.rllib.tasks import Tasks
        except ModuleNotFoundError as error:
            raise MissingExtraError("ray", extra="rllib") from error
        self._tasks: Tasks = Tasks(address, most)
        self._refused: list[Report] = []

    def __enter__(self) -> Spread:
        self._tasks.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._tasks.__exit__(*exception)

    @property
    def idle(self) -> int:
        """How many jobs can be started at once."""
        return self._tasks.room

    @property
    def jobs(self) -> list[Job]:
        """The jobs that are being done."""
        return [*self._tasks.running.values(), *(report.job for report in self._refused)]

    def start(self, job: Job) -> None:
        """Begin a job on some node."""
        try:
            self._tasks.start(*_for_elsewhere(job))
        except DragomanError as error:
            self._refused.append(Report(job, "failed", error=f"{error}\n"))

    def reports(self) -> Iterator[Report]:
        """Wait a moment, and yield what is heard of jobs."""
        while self._refused:
            yield self._refused.pop()
        if self._tasks.running:
            for news in self._tasks.news():
                if news.files:
                    bring(news.files, news.work)
                yield Report(news.work, news.kind, news.steps, news.error)


def bring(files: Mapping[str, bytes], job: Job) -> None:
    """Write what a job has written elsewhere into its folder here.

    A run folder that is not there yet comes to be as a whole.
    """
    folder = job.folder
    if not isinstance(job, TrainJob):
        folder.mkdir(parents=True, exist_ok=True)
    if folder.exists():
        # What makes a run count as evaluated comes last.
        for name in sorted(files, key=lambda name: name == "evaluation.json"):
            write_bytes(folder / name, files[name])
        return
    with whole_folder(folder) as part:
        for name, content in files.items():
            write_bytes(part / name, content)
    if isinstance(job, TrainJob) and "config.yaml" in files:
        # As if it had been trained here: the note that lets this user play it.
        remember(files["config.yaml"], Experiment.from_dict(job.experiment))


def _for_elsewhere(job: Job) -> tuple[Job, Mapping[str, bytes], int]:
    """Return a job that another machine may do, the files it goes on with, and its GPUs."""
    if not isinstance(job, TrainJob):
        return job, {}, 0
    experiment = Experiment.from_dict(job.experiment)
    on_gpu = any(model.device.startswith("cuda") for model in experiment.models)
    gpus = int(experiment.uses_model and on_gpu)
    if not (job.folder / "status.json").is_file():
        return job, {}, gpus
    # Only evaluated there. The notes of this user's own trainings are kept here.
    Run(job.folder).require_trust(job.trust_code)
    return replace(job, trust_code=True), packed(job.folder), gpus
