"""A run folder, written as the training goes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from safetensors.numpy import save

from dragoman.errors import DivergenceError, RunError
from dragoman.experiment import Experiment
from dragoman.files import Rows, take_folder, unwritable, write_bytes, write_json, write_short
from dragoman.run.checkpoint import (
    FOLDER,
    LOCK,
    Checkpoint,
    cut_rows,
    remove_checkpoints,
    write_checkpoint,
)
from dragoman.run.facts import Status
from dragoman.run.machine import describe_machine, sign_of_life
from dragoman.run.reader import FORMAT, Run
from dragoman.run.trackers import About, Trackers
from dragoman.run.trust import remember
from dragoman.stopping import unbroken

BEAT_SECONDS = 10.0
"""Between two signs of life."""
LEAST_BYTES = 4 * 2**20
"""Room for everything but weights: the rows of a short training, the trackers' files."""
MOST_REASON = 1000


class RunWriter:
    """Writes a run folder as the training goes; use it as a context manager.

    Within, a thread gives a sign of life every few seconds. On the way out the status becomes
    ``finished``, ``interrupted`` (Ctrl-C or SIGTERM) or ``failed``.

    Args:
        path: Folder to make. It must not hold a run yet.
        experiment: What is trained.
        seed: Seed of the training.
        compute: Where and how the model computes: device, precision, threads.

    Attributes:
        discarded: Whether nothing is worth keeping: the folder is then removed on the way out.

    Raises:
        RunError: The folder holds something already, or cannot be written. Of several that take
            one folder at once, all but one get this.
    """

    def __init__(
        self, path: str | Path, experiment: Experiment, seed: int, compute: Mapping[str, Any]
    ) -> None:
        config = experiment.to_yaml().encode("utf-8")
        digest = hashlib.sha256(config).hexdigest()
        about = {"format": FORMAT, "seed": seed, "config": digest}
        self._set_up(Path(path), experiment, seed)
        record = {**about, **compute, **describe_machine()}
        take_folder(self.path, "status.json", self._status("running"))
        try:
            write_bytes(self.path / "config.yaml", config)
            write_json(self.path / "env.json", record)
        except BaseException:
            shutil.rmtree(self.path, ignore_errors=True)
            raise
        remember(config, experiment)

    def _set_up(self, path: Path, experiment: Experiment, seed: int, at: int = 0) -> None:
        self.path = path
        self.steps = 0
        self.discarded = False
        self._lock: FileLock | None = None
        self._files: dict[str, Rows] = {}
        self._telling = threading.Lock()
        self._ended = threading.Event()
        self._life = threading.Thread(target=self._live, name="heartbeat", daemon=True)
        self._track = experiment.track
        self._about = About(self.path, {**experiment.to_dict(), "seed": seed}, at)
        self._trackers = Trackers((), self._about)

    @classmethod
    def resuming(cls, run: Run, found: Checkpoint | None) -> RunWriter:
        """Return what goes on writing a run, without the rows after its checkpoint.

        Args:
            run: A run that has not finished.
            found: What it goes on from; nothing where it begins again.

        Raises:
            RunError: A process is training it.
        """
        self = cls.__new__(cls)
        self._set_up(run.path, run.experiment, run.seed, 0 if found is None else found.steps)
        self._lock = FileLock(run.path / FOLDER / LOCK, timeout=0)
        try:
            (run.path / FOLDER).mkdir(exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise _in_training(run) from None
        except OSError as error:
            raise unwritable(run.path, error) from error
        if run.status == "running":
            self._lock.release()
            raise _in_training(run)
        cut_rows(run.path, {} if found is None else found.rows)
        self.steps = run.steps
        self._tell("running")
        return self

    def __enter__(self) -> RunWriter:
        self._life.start()
        self._trackers = Trackers(self._track, self._about)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with unbroken():
            self._ended.set()
            self._life.join()
            for rows in self._files.values():
                rows.close()
            self._trackers.close(succeeded=kind is None)
            if self._lock is not None:
                self._lock.release()
            if self.discarded:
                shutil.rmtree(self.path)
                return
            if kind is None:
                self._tell("finished")
                remove_checkpoints(self.path)
                return
            status: Status = "interrupted" if issubclass(kind, KeyboardInterrupt) else "failed"
            # A read-only disk takes no word either; what has failed is raised already.
            with contextlib.suppress(RunError):
                self._tell(status, f"{kind.__name__}: {error}".split("\n")[0])

    def metric(self, row: Mapping[str, Any]) -> None:
        """Append one row to ``metrics.jsonl``, and then tell the trackers."""
        self.append("metrics.jsonl", row)
        self._trackers.log(row)

    def episode(self, row: Mapping[str, Any]) -> None:
        """Append one row to ``episodes.jsonl``."""
        self.append("episodes.jsonl", row)

    def document(self, name: str, content: Mapping[str, Any]) -> None:
        """Write ``name``, a JSON file."""
        write_json(self.path / name, content)

    def save_weights(self, tensors: Mapping[str, NDArray[Any]], *, steps: int) -> None:
        """Replace the saved weights, all or nothing.

        Raises:
            DivergenceError: Some are no finite numbers; those saved before are kept.
        """
        refuse_diverged(tensors, steps)
        # safetensors writes memory as it lies, so views must be made contiguous first.
        plain = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
        write_bytes(self.path / "weights.safetensors", save(plain))
        self.steps = steps
        self._tell("running")

    def checkpoint(self, steps: int, state: Any, keep: int) -> None:
        """Keep all that the training needs to go on; see `dragoman.run.checkpoint`."""
        write_checkpoint(self.path, steps, state, keep)

    def append(self, name: str, row: Mapping[str, Any]) -> None:
        """Append a row to ``name``, a JSON Lines file."""
        # JSON has no NaN and no infinity, and strict readers stop at them.
        row = {key: None if _is_not_finite(value) else value for key, value in row.items()}
        if name not in self._files:
            self._files[name] = Rows(self.path / name)
        self._files[name].append(json.dumps(row, default=float))

    def _live(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            # Where the disk is full the training finds out by itself.
            with contextlib.suppress(RunError):
                self._tell("running")

    def _tell(self, status: Status, reason: str | None = None) -> None:
        with self._telling:
            write_short(self.path / "status.json", self._status(status, reason))

    def _status(self, status: Status, reason: str | None = None) -> str:
        why = {} if reason is None else {"reason": reason[:MOST_REASON]}
        said = {"status": status, "steps": self.steps, **why, **sign_of_life()}
        return json.dumps(said, indent=2) + "\n"


def _in_training(run: Run) -> RunError:
    return RunError(
        f"{run.path} is in training in another process, whose number status.json says",
        cure="wait for its end, or stop that process",
    )


def refuse_diverged(tensors: Mapping[str, NDArray[Any]], steps: int) -> None:
    """Refuse weights that are no finite numbers.

    Args:
        tensors: By name.
        steps: Environment steps that they were trained for.

    Raises:
        DivergenceError: Some are NaN or infinite.
    """
    for name, tensor in tensors.items():
        # A role's own numbers may stand open, and what it says is checked at each step.
        is_trained = tensor.dtype.kind == "f" and name.startswith(("policy.", "observer."))
        if is_trained and not np.isfinite(tensor).all():
            raise diverged("weights", steps, f" ({name})")


def diverged(what: str, steps: int, where: str = "") -> DivergenceError:
    """Return the error of a training whose weights or outputs are no finite numbers any more."""
    return DivergenceError(
        f"the policy's {what} became NaN or infinite by step {steps}{where}",
        cure="lower algorithm.settings.learning_rate or max_grad_norm, or scale large rewards "
        "and observations down; the last finite weights that were saved are kept",
    )


def _is_not_finite(value: Any) -> bool:
    return isinstance(value, float | np.floating) and not np.isfinite(value)
