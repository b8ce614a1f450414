"""Services that are told the rows of a training: a dead one costs no row and no training."""

from __future__ import annotations

import math
import signal
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from dragoman.engines.train import train
from dragoman.errors import ConfigError, MissingExtraError
from dragoman.experiment import Experiment
from dragoman.run import Run, RunWriter
from dragoman.run.trackers import TrackerWarning
from dragoman.stopping import Terminated, stoppable

ROWS = [{"step": 8, "train/loss": 0.5, "time/seconds": 1}, {"step": 16, "train/loss": math.nan}]


def write(folder: Path, *track: str) -> Run:
    experiment = Experiment("CartPole-v1", observe=None, track=track)
    with RunWriter(folder, experiment, 3, {}) as writer:
        for row in ROWS:
            writer.metric(row)
    return Run(folder)


def test_tensorboard_is_told_unless_others_are_named(tmp_path: Path) -> None:
    assert Experiment("CartPole-v1").track == ("tensorboard",)
    run = write(tmp_path / "run", "tensorboard")
    events = EventAccumulator(str(run.path))
    events.Reload()
    assert set(events.Tags()["scalars"]) == {"train/loss", "time/seconds"}
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(8, 0.5)]
    assert not list(write(tmp_path / "silent").path.glob("*tfevents*"))


def test_a_stop_waits_until_a_row_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def slow(writer: SummaryWriter, key: str, value: float, step: int) -> None:
        signal.raise_signal(signal.SIGTERM)
        told.append(key)

    monkeypatch.setattr(SummaryWriter, "add_scalar", slow)
    with stoppable(), pytest.raises(Terminated):
        write(tmp_path / "run", "tensorboard")
    assert told == ["train/loss", "time/seconds"]


class Service(ModuleType):
    """A stand-in for the client of Weights & Biases that remembers what it was told."""

    def __init__(self, dies: str) -> None:
        super().__init__("wandb")
        # As an installed package has it.
        self.__spec__ = SimpleNamespace(name="wandb")
        self.dies = dies
        self.told: list[Any] = []

    def _tell(self, *what: Any) -> None:
        if what[0] == self.dies:
            raise ConnectionError("no route to host")
        self.told.append(what)

    def init(self, **about: Any) -> Service:
        self._tell("init", about)
        return self

    def log(self, row: dict[str, float], step: int) -> None:
        self._tell("log", row, step)

    def finish(self, exit_code: int) -> None:
        self._tell("finish", exit_code)


def test_a_service_is_told_rows_and_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service("")
    monkeypatch.setitem(sys.modules, "wandb", service)
    write(tmp_path / "arm/3", "wandb")
    start, first, second, end = service.told
    assert start[1]["name"] == "arm/3"
    assert start[1]["config"]["env"] == "CartPole-v1"
    assert start[1]["config"]["seed"] == 3
    assert first == ("log", {"train/loss": 0.5, "time/seconds": 1.0}, 8)
    assert second == ("log", {}, 16)
    assert end == ("finish", 0)


@pytest.mark.parametrize("dies", ["init", "log", "finish"])
def test_a_dead_service_warns_once_and_loses_nothing(
    dies: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", Service(dies))
    with pytest.warns(TrackerWarning, match="wandb is not told any more.*no route to host") as said:
        run = write(tmp_path / "run", "wandb", "tensorboard")
    assert len(said) == 1
    assert [row["step"] for row in run.metrics()] == [8, 16]
    assert run.status == "finished"
    assert list(run.path.glob("*tfevents*"))


def test_what_is_not_installed_or_unknown_is_refused_before_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    experiment = Experiment("CartPole-v1", observe=None, track="mlflow")
    with pytest.raises(MissingExtraError, match=r"dragoman\[mlflow\]"):
        train(experiment, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="did you mean 'wandb'"):
        Experiment("CartPole-v1", track="wandbb")


def test_the_real_wandb_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="needs the extra 'wandb'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = write(tmp_path / "run", "wandb")
    (file,) = run.path.glob("wandb/offline-run-*/*.wandb")
    for _ in range(100):  # a process of its own writes it
        if b"train/loss" in file.read_bytes():
            break
        time.sleep(0.1)
    assert b"train/loss" in file.read_bytes()


def test_the_real_mlflow_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="needs the extra 'mlflow'")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    write(tmp_path / "run", "mlflow")
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("dragoman")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED"
    assert found.data.metrics == {"train/loss": 0.5, "time/seconds": 1.0}
    assert found.data.params["algorithm.name"] == "ppo"


def test_the_real_trackio_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Read when it is imported.
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "store"))
    pytest.importorskip("trackio", reason="needs the extra 'trackio'")
    write(tmp_path / "run", "trackio")
    assert list((tmp_path / "store").glob("dragoman*"))
