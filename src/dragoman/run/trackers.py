"""Services that show the rows of a training elsewhere, each a few lines over its own client.

A row is written to ``metrics.jsonl`` first. A service that fails warns once and is left alone from
then on, so that it costs neither a row nor the training. Keys and addresses come from where each
client looks for them: its own environment variables.
"""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dragoman.errors import MissingExtraError
from dragoman.experiment import TrackerName
from dragoman.settings import flat
from dragoman.stopping import unbroken

PROJECT = "dragoman"


class TrackerWarning(UserWarning):
    """A service is not told any more; the training goes on."""


@dataclass(frozen=True)
class About:
    """What a service is told of a run.

    Attributes:
        folder: The run folder.
        config: The experiment and the seed, as plain data.
        resumed_at: Environment steps that were taken before it was resumed.
    """

    folder: Path
    config: Mapping[str, Any]
    resumed_at: int = 0

    @property
    def name(self) -> str:
        """What the service calls the run: of a comparison's the arm too."""
        return "/".join(self.folder.resolve().parts[-2:])


class Tracker(Protocol):
    """A run of a service."""

    def log(self, row: Mapping[str, float], step: int) -> None:
        """Take the numbers of one row."""
        ...

    def close(self, succeeded: bool) -> None:
        """End the run."""
        ...


class Trackers:
    """Hands rows on to services, until they fail.

    Args:
        names: The services.
        about: What they are told.
    """

    def __init__(self, names: tuple[TrackerName, ...], about: About) -> None:
        self._open: dict[str, Tracker] = {}
        for name in names:
            self._tried(name, partial(self._start, name, about))

    def log(self, row: Mapping[str, Any]) -> None:
        """Hand on a row of the metrics; what is no finite number is left out."""
        numbers = {
            key: float(value)
            for key, value in row.items()
            if isinstance(value, int | float | np.number) and np.isfinite(value) and key != "step"
        }
        for name, tracker in list(self._open.items()):
            self._tried(name, partial(tracker.log, numbers, int(row["step"])))

    def close(self, succeeded: bool) -> None:
        """End the runs."""
        for name, tracker in list(self._open.items()):
            self._tried(name, partial(tracker.close, succeeded))
        self._open.clear()

    def _start(self, name: str, about: About) -> None:
        self._open[name] = _START[name](about)

    def _tried(self, name: str, work: Callable[[], None]) -> None:
        try:
            work()
        # Each client fails in ways of its own: no network, no key, a full disk.
        except Exception as error:
            self._open.pop(name, None)
            warnings.warn(
                f"{name} is not told any more of this training: {type(error).__name__}: {error}; "
                "metrics.jsonl has every row",
                TrackerWarning,
                stacklevel=2,
            )


def require_trackers(names: tuple[TrackerName, ...]) -> None:
    """Refuse a service whose client is not installed.

    Raises:
        MissingExtraError: So it is.
    """
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise MissingExtraError(name, extra=name)


class _TensorBoard:
    def __init__(self, about: About) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(about.folder, purge_step=about.resumed_at or None)

    def log(self, row: Mapping[str, float], step: int) -> None:
        # A stop between two instructions of the queue leaves its thread waiting for ever.
        with unbroken():
            for key, value in row.items():
                self._writer.add_scalar(key, value, step)
            self._writer.flush()

    def close(self, succeeded: bool) -> None:
        self._writer.close()


class _WandB:
    def __init__(self, about: About) -> None:
        import wandb

        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=about.name,
            config=dict(about.config),
            dir=about.folder,
            # Several runs of one process stand side by side.
            reinit="create_new",
        )

    def log(self, row: Mapping[str, float], step: int) -> None:
        self._run.log(dict(row), step=step)

    def close(self, succeeded: bool) -> None:
        self._run.finish(exit_code=0 if succeeded else 1)


class _MLflow:
    def __init__(self, about: About) -> None:
        from mlflow import MlflowClient

        self._client = MlflowClient()
        project = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        found = self._client.get_experiment_by_name(project)
        number = self._client.create_experiment(project) if found is None else found.experiment_id
        self._run = self._client.create_run(number, run_name=about.name).info.run_id
        for key, value in flat(about.config).items():
            self._client.log_param(self._run, key, value)

    def log(self, row: Mapping[str, float], step: int) -> None:
        import time

        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(key, value, now, step) for key, value in row.items()]
        self._client.log_batch(self._run, metrics)

    def close(self, succeeded: bool) -> None:
        self._client.set_terminated(self._run, "FINISHED" if succeeded else "FAILED")


class _Trackio:
    def __init__(self, about: About) -> None:
        import trackio

        project = os.environ.get("TRACKIO_PROJECT", PROJECT)
        self._run = trackio.init(project=project, name=about.name, config=dict(about.config))

    def log(self, row: Mapping[str, float], step: int) -> None:
        self._run.log(dict(row), step=step)

    def close(self, succeeded: bool) -> None:
        self._run.finish()


_START: dict[str, Callable[[About], Tracker]] = {
    "tensorboard": _TensorBoard,
    "wandb": _WandB,
    "mlflow": _MLflow,
    "trackio": _Trackio,
}
