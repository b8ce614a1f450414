"""Run a comparison: what is missing, in parallel processes, and nothing twice."""

from __future__ import annotations

import logging
import pickle
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock, Timeout

from dragoman.comparison.comparison import Comparison, Precision
from dragoman.comparison.event import Event
from dragoman.comparison.file import read_comparison
from dragoman.comparison.folder import FILE_NAME, ComparisonFolder, keep
from dragoman.comparison.jobs import Job, RandomJob, TrainJob
from dragoman.comparison.progress import TellRuns
from dragoman.comparison.results import write_results
from dragoman.comparison.spread import Spread
from dragoman.comparison.workers import Report, Workers
from dragoman.environments import environment_spec, refuse_endless
from dragoman.errors import ConfigError, DragomanError, RunError
from dragoman.experiment.budget import Budget
from dragoman.experiment.source import Source
from dragoman.files import make_folder, require_room, write_text
from dragoman.progress import Wanted, shown
from dragoman.run import LEAST_BYTES, Run, Status
from dragoman.stopping import stoppable

if TYPE_CHECKING:
    from dragoman.engines.engine import Engine

__all__ = ["Event", "compare", "settled"]

log = logging.getLogger(__name__)


def compare(
    comparison: Comparison | Source,
    out: str | Path,
    *,
    jobs: int | None = None,
    engine: Engine | None = None,
    ray: str | None = None,
    trust_code: bool = False,
    progress: Wanted = None,
    on_event: Callable[[Event], None] = lambda event: None,
) -> dict[str, Any]:
    """Run what is missing of a comparison, and return its results.

    A run that is trained and evaluated is never run again. One that is trained is evaluated. One
    whose training was stopped or killed goes on from its last checkpoint, where its engine can
    resume. Any other is removed and run again.

    Args:
        comparison: What to compare, or what `dragoman.read_comparison` reads.
        out: Folder to make, or to go on with.
        jobs: Runs at once, each with its share of the cores; as many as cores can serve unless
            given.
        engine: What trains each run; Stable-Baselines3 unless given.
        ray: Address of a Ray cluster whose nodes do the runs, one processor each: ``host:port``,
            ``auto`` on one of its nodes, or ``local`` to start one. Every node needs the same
            Python, Dragoman and files; what runs write is brought here.
        trust_code: Evaluate trained runs of the folder, whatever code their configs name and
            whoever trained them.
        progress: Whether to show how far the runs have come, or a function that is told, see
            `dragoman.progress`. Unless given, it is shown in terminals and notebooks.
        on_event: Called with what happens to every run.

    Returns:
        What ``results.json`` holds, see `dragoman.comparison.results`.

    Raises:
        ConfigError: The folder holds another comparison or was begun with another engine, or an
            arm cannot work; as far as environment and spaces show it, that is before any arm is
            trained.
        RunError: Another process compares into the folder.
    """
    if not isinstance(comparison, Comparison):
        comparison = read_comparison(comparison)
    if jobs is not None and jobs < 1:
        raise ConfigError(f"jobs is {jobs}, but must be at least 1", cure="raise it")
    comparison = replace(comparison, engine="sb3" if engine is None else engine.name)
    if engine is not None:
        _check_engine(engine, ray)
    for arm in comparison.arms:
        experiment = comparison.experiment(arm)
        refuse_endless(
            environment_spec(experiment.env, max_episode_steps=experiment.max_episode_steps)
        )
    path = Path(out)
    require_room(path, LEAST_BYTES)
    if not (path / FILE_NAME).is_file():
        _check(comparison, engine)
    make_folder(path)
    try:
        with FileLock(path / ".lock", timeout=0), stoppable(), shown(progress) as show:
            here = settled(comparison)
            folder = keep(path, here)
            if folder.comparison.precision != here.precision:
                log.warning(
                    "%s was begun in %s and goes on so in every arm, though 'dtype: auto' is %s "
                    "on this machine",
                    path,
                    folder.comparison.precision,
                    here.precision,
                )
            workers, threads = _workers(jobs, ray, 1 if engine is None else engine.processes)
            told: list[Callable[[Event], None]] = [on_event]
            told += [] if show is None else [TellRuns(show, folder.comparison)]
            _Runner(folder, threads, told, trust_code, engine).run(workers)
            return write_results(folder)
    except Timeout:
        raise RunError(
            f"another process compares into {path}", cure="wait for it, or name another folder"
        ) from None


def _workers(jobs: int | None, ray: str | None, processes: int) -> tuple[Workers | Spread, int]:
    """Return what does the runs, and the threads of each.

    Args:
        jobs: Runs at once, if the user has said.
        ray: Address of a cluster.
        processes: How many each run keeps busy.
    """
    if ray is not None:
        return Spread(ray, jobs), 1
    # Only here, since it comes with PyTorch.
    from dragoman.models.hardware import usable_cores

    cores = usable_cores()
    jobs = jobs or max(1, cores // processes)
    return Workers(jobs), max(1, cores // (jobs * processes))


def _check_engine(engine: Engine, ray: str | None) -> None:
    """Refuse an engine that cannot be sent to the processes that train."""
    try:
        pickle.dumps(engine)
    except Exception as error:
        raise ConfigError(
            f"the engine {engine.name} cannot be sent to the processes of the runs: {error}",
            cure="leave out what only this process has, such as callbacks defined in a script",
        ) from error
    if ray is not None and engine.processes > 1:
        raise ConfigError(
            f"with ray={ray!r} each run has one processor of the cluster, but this engine "
            f"wants {engine.processes} processes for each",
            cure="leave the engine's processes out, or ray: the engine spreads a run itself",
        )


def _check(comparison: Comparison, engine: Engine | None) -> None:
    """Refuse a comparison of which an arm could not train, before any arm has."""
    from dragoman.agents.evaluate import check_shift
    from dragoman.engines.check import check  # loads PyTorch

    for arm in comparison.arms:
        try:
            check(comparison.experiment(arm), engine)
            for shift in (None, *comparison.evaluation.shifts):
                check_shift(comparison.experiment(arm), comparison.evaluation.changes(shift))
        except DragomanError as error:
            raise ConfigError(f"arm {arm!r}: {error.problem}", cure=error.cure) from error


def settled(comparison: Comparison) -> Comparison:
    """Return a comparison that says what ``model.dtype: auto`` means in all of its arms.

    It is what is fast on the device of every arm that leaves its precision open.
    """
    arms = [comparison.experiment(arm) for arm in comparison.arms]
    devices = {item.model.device for item in arms if item.uses_model and item.model.dtype == "auto"}
    if comparison.precision is not None or not devices:
        return comparison
    from dragoman.models.hardware import fast_dtype

    fast = {fast_dtype(device) for device in devices}
    precision: Precision = "bfloat16" if fast == {"bfloat16"} else "float32"
    return replace(comparison, precision=precision)


class _Runner:
    """Brings the runs of one folder to their end."""

    def __init__(
        self,
        folder: ComparisonFolder,
        threads: int,
        told: Sequence[Callable[[Event], None]],
        trust_code: bool,
        engine: Engine | None,
    ) -> None:
        self.engine = engine
        self.folder = folder
        self.comparison = folder.comparison
        self.threads = threads
        self.told = told
        self.trust_code = trust_code
        self.first = next(iter(self.comparison.arms))

    def on_event(self, event: Event) -> None:
        for tell in self.told:
            tell(event)

    def run(self, using: Workers | Spread) -> None:
        waiting = self._missing()
        with using as workers:
            while waiting or workers.jobs:
                for key in [key for key in waiting if self._may_start(*key, waiting, workers)]:
                    if not workers.idle:
                        break
                    waiting.remove(key)
                    self._start(*key, workers)
                if workers.jobs:
                    for report in workers.reports():
                        self._heard(report)

    def _missing(self) -> list[tuple[str, int]]:
        """Return what is to be run: seed by seed, so that an early end leaves whole seeds."""
        missing = []
        if not self.folder.has_played_at_random():
            missing.append(("", 0))
        for seed in self.comparison.seeds:
            for arm in self.comparison.arms:
                if self.folder.status(arm, seed) == "finished":
                    self.on_event(Event(arm, seed, "kept"))
                else:
                    missing.append((arm, seed))
        return missing

    def _may_start(
        self, arm: str, seed: int, waiting: list[tuple[str, int]], workers: Workers | Spread
    ) -> bool:
        """Return whether what sets the budget of a run is known."""
        if not arm or arm == self.first or self.comparison.budget == "steps":
            return True
        doing = [(job.arm, job.seed) for job in workers.jobs if isinstance(job, TrainJob)]
        return (self.first, seed) not in [*waiting, *doing]

    def _start(self, arm: str, seed: int, workers: Workers | Spread) -> None:
        if not arm:
            reader = next(n for n, one in self.comparison.arms.items() if one.kind == "arm")
            workers.start(
                RandomJob(
                    self.folder.path,
                    self.comparison.base,
                    self.comparison.evaluation,
                    self.comparison.experiment(reader).to_dict(),
                )
            )
            return
        path = self.folder.run_folder(arm, seed)
        self._clear(arm, seed, path)
        try:
            budget = self._budget(arm, seed)
        except RunError as error:
            self._fail(arm, seed, f"{error}\n")
            return
        self.on_event(Event(arm, seed, "started"))
        workers.start(
            TrainJob(
                arm,
                seed,
                path,
                self.comparison.experiment(arm).to_dict(),
                self.comparison.evaluation,
                budget,
                self.threads,
                self.trust_code,
                self.engine,
            )
        )

    def _clear(self, arm: str, seed: int, path: Path) -> None:
        """Make room for a run, keeping a training that can go on, or only lacks its evaluation."""
        if self.folder.status(arm, seed) in ("missing", "unevaluated"):
            return
        left, error = _status_of(path), path / "error.txt"
        # An error that was written down would come again; of a process that was killed it says so.
        stopped = left in ("interrupted", "died") or (left == "failed" and not error.is_file())
        goes_on = stopped and (self.engine is None or self.engine.can_resume)
        if goes_on or left == "finished":
            error.unlink(missing_ok=True)
        else:
            shutil.rmtree(path)
        if left != "finished":
            kind: Literal["resumed", "removed"] = "resumed" if goes_on else "removed"
            self.on_event(Event(arm, seed, kind, text=f"{path} was {left or 'not readable'}"))

    def _budget(self, arm: str, seed: int) -> Budget | None:
        measure = self.comparison.budget
        if measure == "steps" or arm == self.first:
            return None
        if measure == "tokens" and not self.comparison.experiment(arm).uses_model:
            return None
        if self.folder.status(self.first, seed) != "finished":
            raise RunError(
                f"arm {self.first!r} sets the budget of seed {seed}, but has not finished it",
                cure=f"mend what {self.folder.run_folder(self.first, seed) / 'error.txt'} says",
            )
        return Budget(measure, self.folder.costs(self.first, seed)[measure])

    def _heard(self, report: Report) -> None:
        arm, seed = _key(report.job)
        if report.kind == "failed":
            self._fail(arm, seed, report.error)
        else:
            self.on_event(Event(arm, seed, report.kind, report.steps))

    def _fail(self, arm: str, seed: int, error: str) -> None:
        path = self.folder.run_folder(arm, seed) if arm else self.folder.path
        make_folder(path)
        write_text(path / "error.txt", error)
        self.on_event(Event(arm, seed, "failed", text=_summary(error)))


def _key(job: Job) -> tuple[str, int]:
    return (job.arm, job.seed) if isinstance(job, TrainJob) else ("", 0)


def _summary(error: str) -> str:
    """Return the line of a traceback that names the error, before what it is indented with."""
    return [line for line in error.splitlines() if line and not line[0].isspace()][-1]


def _status_of(path: Path) -> Status | None:
    """Return how far a training came, whatever was noted beside it; nothing if that is unknown."""
    try:
        return Run(path).status
    except (ConfigError, RunError):
        return None
