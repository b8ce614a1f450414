"""The run folder: what a training leaves behind, readable without pickle and without torch.

config.yaml           the experiment
env.json              seed, versions, device, git state; under masks what became of action masks
status.json           running | finished | interrupted | failed and for which reason, and the
                      steps taken
metrics.jsonl         one row an update; wall-clock columns are named time/...
episodes.jsonl        one row a finished episode, in the environment's own rewards
critiques.jsonl       what a judge in text said of each text, where one judges
rewards.json          what the reward role has found out before the training, where it has one
weights.safetensors   trained tensors and running statistics, without the frozen model
events.out.tfevents.* the same metrics for TensorBoard
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from dragoman.errors import DivergenceError, RunError
from dragoman.experiment import Experiment
from dragoman.run.trust import remember, require_trust

Status = Literal["running", "finished", "interrupted", "failed"]
Tensors = dict[str, NDArray[Any]]

TAIL_BYTES = 64 * 1024
"""More than any row of metrics."""

VERSIONED = (
    "dragoman",
    "gymnasium",
    "numpy",
    "stable-baselines3",
    "torch",
    "transformers",
)


class Run:
    """A run folder, opened for reading.

    Args:
        path: The folder.

    Raises:
        RunError: The folder is missing, is no run, or was left half-written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise RunError(f"there is no run folder {self.path}", cure="check the path")
        for name in ("config.yaml", "env.json", "status.json"):
            if not (self.path / name).is_file():
                raise RunError(
                    f"{self.path} has no {name}: it is no run folder, or was left half-written",
                    cure="train again into a new folder",
                )
        config = self.path / "config.yaml"
        self.experiment = Experiment.from_yaml(config)
        self._config = config.read_bytes()

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def require_trust(self, trust_code: bool = False) -> None:
        """Refuse to be played, unless the code that its config names is trusted.

        Args:
            trust_code: The user's word. Without it a note counts that the same user has trained
                this run here with that code as it is now, see `dragoman.run.trust`.

        Raises:
            ConfigError: The config names code, and there is neither.
        """
        require_trust(self.path, self._config, self.experiment, trust_code)

    @property
    def status(self) -> Status:
        """How far the training came."""
        status: Status = self._value("status.json", "status", get_args(Status))
        return status

    @property
    def steps(self) -> int:
        """Environment steps behind the saved weights."""
        steps: int = self._value("status.json", "steps", int)
        return steps

    @property
    def environment(self) -> dict[str, Any]:
        """Seed, versions, device and git state of the training."""
        return self._json("env.json")

    @property
    def seed(self) -> int:
        """Seed of the training."""
        seed: int = self._value("env.json", "seed", int)
        return seed

    def metrics(self) -> list[dict[str, Any]]:
        """Return one row an update."""
        return self._rows("metrics.jsonl")

    def episodes(self) -> list[dict[str, Any]]:
        """Return one row a finished training episode."""
        return self._rows("episodes.jsonl")

    def rewards(self) -> dict[str, Any]:
        """Return what each term of the reward has found out before the training."""
        return self._json("rewards.json") if (self.path / "rewards.json").is_file() else {}

    def critiques(self) -> list[dict[str, Any]]:
        """Return what judges said of texts in the training."""
        return self._rows("critiques.jsonl")

    def last_metrics(self) -> dict[str, Any]:
        """Return the last row of the metrics, read from the end; empty before the first."""
        file = self.path / "metrics.jsonl"
        if not file.is_file():
            return {}
        with file.open("rb") as rows:
            rows.seek(max(0, file.stat().st_size - TAIL_BYTES))
            # As in `_rows`, what follows the last newline is no whole row.
            lines = rows.read().split(b"\n")[:-1]
        return self._parsed("metrics.jsonl", lines[-1]) if lines else {}

    def curve(self, bins: int = 60) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the learning curve: environment steps, and mean returns of training episodes.

        The training is cut into equal parts, at most one an episode; each part in which an
        episode ended gives a point at its end. Both arrays are empty where none has ended.
        """
        episodes = self.episodes()
        if not episodes:
            return np.empty(0), np.empty(0)
        steps = np.array([episode["step"] for episode in episodes])
        returns = np.array([episode["return"] for episode in episodes], dtype=np.float64)
        edges = np.linspace(0, max(self.steps, int(steps.max())), min(bins, len(steps)) + 1)
        part = np.digitize(steps, edges[1:-1])
        used = np.unique(part)
        return edges[used + 1], np.array([returns[part == i].mean() for i in used])

    def weights(self) -> Tensors:
        """Return the trained tensors by name.

        Raises:
            RunError: No weights were saved yet, or the file is damaged.
        """
        file = self.path / "weights.safetensors"
        if not file.is_file():
            raise RunError(
                f"{self.path} holds no weights: its training is {self.status} "
                f"after {self.steps} steps",
                cure="let it reach its first checkpoint, or train again",
            )
        try:
            with safe_open(file, framework="numpy") as tensors:
                return {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise RunError(f"{file} is damaged: {error}", cure="train again") from error

    def _json(self, name: str) -> dict[str, Any]:
        try:
            text = (self.path / name).read_bytes()
        except OSError as error:
            raise self._damaged(name, error) from error
        return self._parsed(name, text)

    def _parsed(self, name: str, text: str | bytes) -> dict[str, Any]:
        """Return the mapping that a file or one of its rows holds."""
        try:
            data: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._damaged(name, error) from error
        if not isinstance(data, dict):
            raise self._damaged(name, f"it holds {type(data).__name__} where a mapping should be")
        return data

    def _value(self, name: str, key: str, wanted: type | tuple[Any, ...]) -> Any:
        """Return a value of a file that is of a type, or one of some."""
        value = self._json(name).get(key)
        fits = isinstance(value, wanted) if isinstance(wanted, type) else value in wanted
        if not fits:
            raise self._damaged(name, f"{key!r} is {value!r}")
        return value

    def _damaged(self, name: str, why: object) -> RunError:
        return RunError(f"{self.path / name} cannot be read: {why}", cure="train again")

    def _rows(self, name: str) -> list[dict[str, Any]]:
        file = self.path / name
        if not file.is_file():
            return []
        lines = file.read_bytes().split(b"\n")
        # What follows the last newline is a row that a killed process did not finish.
        return [self._parsed(name, line) for line in lines[:-1]]


class RunWriter:
    """Writes a run folder as the training goes; use it as a context manager.

    On the way out the status becomes ``finished``, ``interrupted`` (Ctrl-C) or ``failed``.

    Args:
        path: Folder to make. It must not hold a run yet.
        experiment: What is trained.
        seed: Seed of the training.
        compute: Where and how the model computes: device, precision, threads.

    Raises:
        RunError: The folder holds something already.
    """

    def __init__(
        self, path: str | Path, experiment: Experiment, seed: int, compute: Mapping[str, Any]
    ) -> None:
        self.path = Path(path)
        refuse_taken(self.path)
        self.path.mkdir(parents=True, exist_ok=True)
        self.steps = 0
        config = experiment.to_yaml().encode("utf-8")
        write_bytes(self.path / "config.yaml", config)
        remember(config, experiment)
        write_json(self.path / "env.json", {"seed": seed, **compute, **describe_machine()})
        self._set_status("running")
        self._files: dict[str, IO[str]] = {}

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in self._files.values():
            file.close()
        if kind is None:
            self._set_status("finished")
        else:
            status: Status = "interrupted" if issubclass(kind, KeyboardInterrupt) else "failed"
            self._set_status(status, f"{kind.__name__}: {error}".split("\n")[0])

    def metric(self, row: Mapping[str, Any]) -> None:
        """Append one row to ``metrics.jsonl``."""
        self._append("metrics.jsonl", row)

    def episode(self, row: Mapping[str, Any]) -> None:
        """Append one row to ``episodes.jsonl``."""
        self._append("episodes.jsonl", row)

    def critique(self, row: Mapping[str, Any]) -> None:
        """Append what a judge said of a text to ``critiques.jsonl``."""
        self._append("critiques.jsonl", row)

    def rewards(self, found: Mapping[str, Mapping[str, Any]]) -> None:
        """Write what the terms of a reward have found out before the training."""
        write_json(self.path / "rewards.json", found)

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
        self._set_status("running")

    def _append(self, name: str, row: Mapping[str, Any]) -> None:
        # JSON has no NaN and no infinity, and strict readers stop at them.
        row = {key: None if _is_not_finite(value) else value for key, value in row.items()}
        if name not in self._files:
            self._files[name] = (self.path / name).open("a", encoding="utf-8")
        self._files[name].write(json.dumps(row, default=float) + "\n")
        self._files[name].flush()

    def _set_status(self, status: Status, reason: str | None = None) -> None:
        why = {} if reason is None else {"reason": reason}
        write_json(self.path / "status.json", {"status": status, "steps": self.steps, **why})


def refuse_diverged(tensors: Mapping[str, NDArray[Any]], steps: int) -> None:
    """Refuse weights that are no finite numbers.

    Args:
        tensors: By name.
        steps: Environment steps that they were trained for.

    Raises:
        DivergenceError: Some are NaN or infinite.
    """
    for name, tensor in tensors.items():
        # A reward's own numbers may stand open, and what it says is checked at each step.
        is_trained = tensor.dtype.kind == "f" and not name.startswith("reward.")
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


def describe_machine() -> dict[str, Any]:
    """Return versions, platform and git state: what a bug report needs."""
    versions = {}
    for package in VERSIONED:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "versions": versions,
        "git": _git_state(),
    }


def _processor() -> str:
    """Return the processor's name, which Linux tells in a file of its own."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _git_state() -> dict[str, Any] | None:
    """Return commit and cleanness of the working folder, or nothing outside a checkout."""

    def git(*arguments: str) -> str:
        command = ["git", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return None


def write_text(file: Path, text: str) -> None:
    """Replace a file by text, all or nothing."""
    write_bytes(file, text.encode("utf-8"))


def refuse_taken(folder: Path) -> None:
    """Refuse a folder that holds something already.

    Raises:
        RunError: It is no folder, or not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(
            f"{folder} exists and is not empty; nothing is ever overwritten",
            cure="name another folder, or remove this one",
        )


def write_json(file: Path, data: Mapping[str, Any]) -> None:
    """Replace a file by JSON, all or nothing."""
    write_text(file, json.dumps(data, indent=2) + "\n")


def write_bytes(file: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(file)
