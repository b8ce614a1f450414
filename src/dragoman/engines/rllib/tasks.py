"""Work on any node of a Ray cluster: a folder goes there as bytes, and comes back as bytes.

Nodes need not share a disk. What a node runs out of, such as memory, ends its task, and Ray begins
it once more elsewhere.
"""

from __future__ import annotations

import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import ray
from ray.exceptions import RayError, TaskCancelledError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from dragoman.engines.rllib import cluster
from dragoman.errors import ConfigError
from dragoman.files import packed, write_bytes

RETRIES = 2
"""How often a task is begun again whose process or node was lost."""
POLL_SECONDS = 0.5
STOP_SECONDS = 30.0
"""Time that tasks have to stop before they are killed."""


@dataclass(frozen=True)
class News:
    """What is heard of a task.

    Attributes:
        work: What it does.
        kind: ``steps`` while it is being done, then ``done`` or ``failed``.
        steps: Environment steps taken so far.
        files: Content of all files of its folder by relative path, at the end.
        error: The traceback of a failure.
    """

    work: Any
    kind: Literal["steps", "done", "failed"]
    steps: int = 0
    files: Mapping[str, bytes] = field(default_factory=dict)
    error: str = ""


class Tasks:
    """Work as Ray tasks, one processor each; use it as a context manager.

    Work is a dataclass with a ``folder`` and ``run(on_steps)``, which writes only there.
    On the way out tasks that are not done are told to stop.

    Args:
        address: Of the cluster, ``auto`` for the one of this machine, or ``local`` to start one.
        most: Most tasks at once; one a processor of the cluster unless given.
    """

    def __init__(self, address: str, most: int | None = None) -> None:
        self.most = most
        self.running: dict[Any, Any] = {}
        self._address = address
        self._numbers: dict[Any, int] = {}
        self._told: dict[int, int] = {}
        self._count = 0

    def __enter__(self) -> Tasks:
        try:
            self._started = cluster.start(
                self._address, cpus=self.most if self._address == cluster.LOCAL else None
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ConfigError(
                f"there is no Ray cluster at {self._address!r}: {error}",
                cure="give the address that 'ray start --head' has printed, auto on one of its "
                "nodes, or local",
            ) from error
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        # With its driver, so that no other node takes it along.
        self._board = ray.remote(Board).options(num_cpus=0, scheduling_strategy=here).remote()
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self._stop()
        finally:
            ray.kill(self._board)
            if self._started:
                cluster.stop()

    @property
    def room(self) -> int:
        """How many tasks can be started at once, as large as the cluster is now."""
        # One waits at least, for a cluster that grows by what is asked of it.
        most = self.most or max(int(ray.cluster_resources().get("CPU", 0)), 1)
        return max(most - len(self.running), 0)

    def start(self, work: Any, files: Mapping[str, bytes], gpus: int = 0) -> None:
        """Begin work.

        Args:
            work: What to do.
            files: What its folder holds before, by relative path.
            gpus: GPUs that it needs.

        Raises:
            ConfigError: It needs a GPU, and no node has one.
        """
        if gpus > ray.cluster_resources().get("GPU", 0):
            raise ConfigError(
                f"a run needs {gpus} GPU, and no node of the Ray cluster has one to give",
                cure="start Ray on a node with a GPU, or name model.device: cpu",
            )
        self._count += 1
        options = {"num_cpus": 1, "num_gpus": gpus, "max_retries": RETRIES}
        task = ray.remote(do).options(**options)
        reference = task.remote(work, files, self._board, self._count)
        self.running[reference], self._numbers[reference] = work, self._count

    def news(self) -> Iterator[News]:
        """Wait a moment, and yield what is heard."""
        ready, _ = ray.wait(list(self.running), timeout=POLL_SECONDS)
        told: dict[int, int] = ray.get(self._board.read.remote())
        for reference, work in list(self.running.items()):
            number = self._numbers[reference]
            if reference in ready:
                del self.running[reference], self._numbers[reference]
                yield _end(reference, work)
            elif told.get(number, 0) != self._told.get(number, 0):
                yield News(work, "steps", told[number])
        self._told = told

    def _stop(self) -> None:
        for reference in self.running:
            ray.cancel(reference)
        deadline = time.monotonic() + STOP_SECONDS
        while self.running and time.monotonic() < deadline:
            ready, _ = ray.wait(list(self.running), timeout=POLL_SECONDS)
            for reference in ready:
                del self.running[reference]
        for reference in self.running:
            ray.cancel(reference, force=True)


def _end(reference: Any, work: Any) -> News:
    try:
        files, error = ray.get(reference)
    except TaskCancelledError:
        return News(work, "failed", error="the task was cancelled by somebody else\n")
    except RayError as lost:
        # No exception of the work, for those are caught where they are raised.
        text = str(lost).strip().replace("\n", "\n  ")
        return News(work, "failed", error=f"{type(lost).__name__}: {text}\n")
    return News(work, "failed" if error else "done", files=files, error=error)


class Board:
    """Where tasks say how far they are. Made a Ray actor by `Tasks`."""

    def __init__(self) -> None:
        self._steps: dict[int, int] = {}

    def tell(self, number: int, steps: int) -> None:
        """Note the steps of a task."""
        self._steps[number] = steps

    def read(self) -> dict[int, int]:
        """Return the steps of each."""
        return self._steps


def do(work: Any, files: Mapping[str, bytes], board: Any, number: int) -> tuple[Any, str]:
    """Do work in a folder of its own; return the folder's files, and the traceback of an error."""
    with tempfile.TemporaryDirectory(prefix="dragoman-") as name:
        folder = Path(name, "run")
        folder.mkdir()
        for path, content in files.items():
            write_bytes(folder / path, content)
        error = ""
        try:
            replace(work, folder=folder).run(lambda steps: board.tell.remote(number, steps))
        except Exception:
            # Whatever a user's environment raises, what was written until then comes back.
            error = traceback.format_exc()
        return packed(folder), error
