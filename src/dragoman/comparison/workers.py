"""Processes that do jobs one after the other, and of which one may die without the others.

`concurrent.futures` gives up all its work when one process is killed. Here only the job that the
process was doing is lost.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Literal

from dragoman.comparison.jobs import Job
from dragoman.stopping import terminate

STOP_SECONDS = 30.0
"""Time that a process has to save what it was doing before it is killed."""


@dataclass(frozen=True)
class Report:
    """What a process says of its job.

    Attributes:
        job: The job.
        kind: ``steps`` while it is being done, then ``done`` or ``failed``.
        steps: Environment steps taken so far.
        error: The traceback of a failure.
    """

    job: Job
    kind: Literal["steps", "done", "failed"]
    steps: int = 0
    error: str = ""


class Workers:
    """At most so many processes, started as jobs come; use it as a context manager.

    A process is spawned rather than forked, since threads of PyTorch do not survive a fork,
    and does its jobs one by one, since loading PyTorch takes seconds. On the way out processes
    are asked to stop: one that is training leaves an interrupted run that loads.

    Args:
        count: Number of processes.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._context = multiprocessing.get_context("spawn")
        self._free: list[_Worker] = []
        self._busy: dict[_Worker, Job] = {}

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in [*self._free, *self._busy]:
            worker.stop()
        for worker in [*self._free, *self._busy]:
            worker.join()

    @property
    def idle(self) -> int:
        """How many jobs can be started at once."""
        return self.count - len(self._busy)

    @property
    def jobs(self) -> list[Job]:
        """The jobs that are being done."""
        return list(self._busy.values())

    def start(self, job: Job) -> None:
        """Begin a job in a free process, or in a new one."""
        assert self.idle, "every process is busy"
        self._free = [worker for worker in self._free if worker.process.is_alive()]
        worker = self._free.pop() if self._free else _Worker(self._context)
        # That a process has just died shows when its connection is read.
        with contextlib.suppress(ConnectionError):
            worker.connection.send(job)
        self._busy[worker] = job

    def reports(self) -> Iterator[Report]:
        """Wait until a process says something, and yield what they say."""
        said = wait([worker.connection for worker in self._busy])
        for worker, job in list(self._busy.items()):
            if worker.connection in said:
                yield self._heard(worker, job)

    def _heard(self, worker: _Worker, job: Job) -> Report:
        try:
            kind, steps, error = worker.connection.recv()
        except (EOFError, ConnectionError):
            # Its end of the connection is closed by nothing but its death.
            worker.join()
            del self._busy[worker]
            return Report(job, "failed", error=_death(worker.process.exitcode))
        if kind != "steps":
            del self._busy[worker]
            self._free.append(worker)
        return Report(job, kind, steps, error)


class _Worker:
    """One process and our end of its connection."""

    def __init__(self, context: multiprocessing.context.SpawnContext) -> None:
        self.connection, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=work, args=(theirs,), daemon=True)
        self.process.start()
        # Closed here, so that it is open nowhere once the process is gone.
        theirs.close()

    def stop(self) -> None:
        self.process.terminate()

    def join(self) -> None:
        self.process.join(STOP_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()


def work(connection: Connection) -> None:
    """Do jobs as they come, until the connection closes.

    Ctrl-C reaches every process of a terminal, so it is the owner's to pass on, as SIGTERM.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, terminate)
    try:
        while True:
            _do(connection.recv(), connection)
    except (KeyboardInterrupt, EOFError, ConnectionError):
        # Ordered to stop, or the owner is gone.
        return


def _do(job: Job, connection: Connection) -> None:
    try:
        job.run(lambda steps: connection.send(("steps", steps, "")))
    except Exception:
        # Whatever a user's environment raises must not end the other runs.
        connection.send(("failed", 0, traceback.format_exc()))
    else:
        connection.send(("done", 0, ""))


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return f"the process was killed by {name}; by SIGKILL it is often for lack of memory\n"
    return f"the process ended with exit code {code} in the middle of its job\n"
