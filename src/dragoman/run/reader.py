"""A run folder, opened for reading."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from dragoman.errors import RunError
from dragoman.experiment import Experiment
from dragoman.files import damaged, read_json, read_last_row, read_rows
from dragoman.run.facts import (
    CELL,
    CRITIQUE,
    ENVIRONMENT,
    EPISODE,
    METRICS,
    STATUS,
    Kind,
    Status,
    require,
)
from dragoman.run.machine import may_live
from dragoman.run.trust import require_trust

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Tensors: TypeAlias = dict[str, NDArray[Any]]

FORMAT = 2
"""Of a run folder, as its ``env.json`` says; folders of version 0.1, which say nothing, have 1."""

CURE = "train again"


class Run:
    """A run folder, opened for reading.

    Args:
        path: The folder.

    Raises:
        RunError: The folder is missing, is no run, or was left half-written.
    """

    def __init__(self, path: str | Path) -> None:
        if not isinstance(path, str | os.PathLike):
            raise RunError(
                f"{path!r} is no run folder",
                cure="give the folder that a training made, or what dragoman.train returns",
            )
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

    def _repr_html_(self) -> str:
        """Return what a notebook shows: facts and the learning curve."""
        from dragoman.run.view import html

        return html(self)

    def plot(self) -> Figure:
        """Return the learning curve as a Matplotlib figure."""
        from dragoman.run.view import plot

        return plot(self)

    def to_pandas(self, table: Literal["episodes", "metrics"] = "episodes") -> Any:
        """Return the training as a `pandas.DataFrame`.

        Args:
            table: ``episodes`` has one row a finished training episode, ``metrics`` one an update.

        Raises:
            ConfigError: There is no such table, or pandas is not installed.
        """
        from dragoman.run.view import to_pandas

        return to_pandas(self, table)

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
    def config_digest(self) -> str:
        """Digest of ``config.yaml``, which ``env.json`` holds as it was when the run began."""
        return hashlib.sha256(self._config).hexdigest()

    @property
    def status(self) -> Status:
        """How far the training came."""
        about = self._read("status.json", STATUS)
        status: Status = about["status"]
        heartbeat = self.heartbeat if status == "running" else None
        if heartbeat is None:  # so it is of versions that gave none
            return status
        return status if may_live(about.get("pid"), about.get("host"), heartbeat) else "died"

    @property
    def heartbeat(self) -> datetime | None:
        """When the training process last said that it lives; some seconds apart while it does."""
        text = self._read("status.json", STATUS).get("heartbeat")
        if text is None:
            return None
        try:
            return datetime.fromisoformat(text).astimezone()
        except (TypeError, ValueError) as error:
            raise damaged(self.path / "status.json", f"'heartbeat' is {text!r}", CURE) from error

    @property
    def steps(self) -> int:
        """Environment steps behind the saved weights."""
        steps: int = self._read("status.json", STATUS)["steps"]
        return steps

    @property
    def environment(self) -> dict[str, Any]:
        """Seed, versions, device and git state of the training."""
        about = self._read("env.json", ENVIRONMENT)
        return {**about, "versions": about.get("versions") or {}}  # 0.1 wrote none

    @property
    def format(self) -> int:
        """Version of the folder's own layout and of the names of its tensors."""
        result: int = self.environment.get("format", 1)
        return result

    @property
    def seed(self) -> int:
        """Seed of the training."""
        seed: int = self.environment["seed"]
        return seed

    def metrics(self) -> list[dict[str, Any]]:
        """Return one row an update."""
        return self._rows("metrics.jsonl", METRICS)

    def episodes(self) -> list[dict[str, Any]]:
        """Return one row a finished training episode."""
        return self._rows("episodes.jsonl", EPISODE, CELL)

    def rewards(self) -> dict[str, Any]:
        """Return what each term of the reward has measured before the training."""
        file = self.path / "rewards.json"
        return read_json(file, cure=CURE) if file.is_file() else {}

    def critiques(self) -> list[dict[str, Any]]:
        """Return what judges said of texts in the training."""
        return self._rows("critiques.jsonl", CRITIQUE)

    def last_metrics(self) -> dict[str, Any]:
        """Return the last row of the metrics, read from the end; empty before the first."""
        file = self.path / "metrics.jsonl"
        row = read_last_row(file, cure=CURE)
        if row:
            require(file, row, METRICS, CURE)
        return row

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

    def _read(self, name: str, kinds: Mapping[str, Kind]) -> dict[str, Any]:
        """Return what a file holds, with values of the kinds that it should."""
        file = self.path / name
        data = read_json(file, cure=CURE)
        require(file, data, kinds, CURE)
        return data

    def _rows(
        self, name: str, kinds: Mapping[str, Kind], other: Kind | None = None
    ) -> list[dict[str, Any]]:
        """Return the rows of a file in the same way."""
        file = self.path / name
        rows = read_rows(file, cure=CURE)
        for row in rows:
            require(file, row, kinds, CURE, other)
        return rows
