from __future__ import annotations

import errno
import itertools
import json
import os
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from dragoman.errors import RunError
from dragoman.experiment import Experiment
from dragoman.run import Run, RunWriter
from dragoman.stopping import Terminated
from tests.full_disk import FullDisk

EXPERIMENT = Experiment(env="CartPole-v1", steps=9)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    weights = {"policy.w": np.arange(6.0).reshape(2, 3).T, "observer.count": np.array(4)}
    with RunWriter(tmp_path / "run", EXPERIMENT, seed=3, compute={"device": "cpu"}) as writer:
        writer.metric({"step": 1, "loss": np.float32(0.5)})
        writer.episode({"step": 1, "return": 2.0})
        writer.save_weights(weights, steps=9)
        assert Run(writer.path).status == "running"
    run = Run(tmp_path / "run")
    assert run.experiment == EXPERIMENT
    assert (run.status, run.steps, run.seed) == ("finished", 9, 3)
    assert run.metrics() == [{"step": 1, "loss": 0.5}]
    assert run.episodes() == [{"step": 1, "return": 2.0}]
    for name, tensor in run.weights().items():
        np.testing.assert_array_equal(tensor, weights[name])
    assert run.environment["versions"]["gymnasium"]
    assert not [file for file in run.path.iterdir() if file.name.startswith(".")]


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt, "interrupted"), (ValueError, "failed")]
)
def test_status_says_how_it_ended(error: type[BaseException], status: str, tmp_path: Path) -> None:
    def crash() -> None:
        with RunWriter(tmp_path / "run", EXPERIMENT, seed=0, compute={"device": "cpu"}):
            raise error

    with pytest.raises(error):
        crash()
    assert Run(tmp_path / "run").status == status


def test_not_a_number_is_written_as_null(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run", EXPERIMENT, seed=0, compute={"device": "cpu"}) as writer:
        writer.metric({"step": 1, "variance": float("nan"), "other": np.float64("inf")})
    assert Run(tmp_path / "run").metrics() == [{"step": 1, "variance": None, "other": None}]


def test_a_run_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="not empty"):
        RunWriter(tmp_path, EXPERIMENT, seed=0, compute={"device": "cpu"})


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what asks Git."""
    monkeypatch.setattr("dragoman.run.writer.describe_machine", dict)


def write_all(folder: Path) -> None:
    """Write everything that a training writes."""
    with RunWriter(folder, EXPERIMENT, seed=0, compute={}) as writer:
        writer.document("rewards.json", {"a": 1})
        for step in (8, 16):
            writer.episode({"step": step, "return": 1.0, "text": "a" * 3000})
            writer.metric({"step": step, "loss": 0.5})
            writer.save_weights({"policy.w": np.full(5000, step, np.float32)}, steps=step)


@pytest.mark.usefixtures("light")
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_becomes_full_or_read_only_costs_one_error(number: int, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        places = FullDisk(patch, at=1_000_000).places
        write_all(tmp_path / "whole")
    assert places.count("replace") >= 8
    errors, said = [], set()
    for place in range(len(places)):
        folder = tmp_path / str(place)
        with pytest.MonkeyPatch.context() as patch:
            FullDisk(patch, at=place, error=number)
            try:
                write_all(folder)
            except RunError as error:
                errors.append(error.problem)
        if not folder.exists():
            continue
        run = Run(folder)
        said.add(run.status)
        assert not [file for file in folder.iterdir() if file.name.startswith(".")]
        assert {len(run.episodes()), len(run.metrics())} <= {0, 1, 2}
        if (folder / "weights.safetensors").exists():
            assert set(run.weights()["policy.w"]) in ({8}, {16})
        if run.status == "finished":
            assert (run.steps, len(run.metrics())) == (16, 2)
    assert all(os.strerror(number) in error for error in errors)
    # What is said of a run fits where it stands; but a read-only disk takes no word.
    assert said == ({"failed", "finished"} if number == errno.ENOSPC else {"running"})
    assert len(errors) > len(places) / 2


@pytest.mark.usefixtures("light")
def test_a_failed_start_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dragoman.run.writer.write_json", broken)
    with pytest.raises(KeyboardInterrupt):
        write_all(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("light")
def test_a_sign_of_life_is_given_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dragoman.run.writer.BEAT_SECONDS", 0.01)
    beats = itertools.count()
    monkeypatch.setattr("dragoman.run.writer.sign_of_life", lambda: {"beat": next(beats)})
    file = tmp_path / "run" / "status.json"
    with RunWriter(tmp_path / "run", EXPERIMENT, seed=0, compute={}):
        deadline = time.monotonic() + 60
        while json.loads(file.read_text())["beat"] < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    last = next(beats)
    time.sleep(0.1)
    assert next(beats) == last + 1
    assert Run(tmp_path / "run").status == "finished"


def test_a_stop_by_sigterm_is_named(tmp_path: Path) -> None:
    with pytest.raises(Terminated), RunWriter(tmp_path / "run", EXPERIMENT, seed=0, compute={}):
        raise Terminated
    said = json.loads((tmp_path / "run" / "status.json").read_text())
    assert (said["status"], said["reason"]) == ("interrupted", "Terminated: SIGTERM")
    assert (said["pid"], said["host"]) == (os.getpid(), socket.gethostname())


def test_a_process_that_was_killed_is_not_running(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom dragoman.experiment import Experiment\n"
        "from dragoman.run import RunWriter\n"
        "RunWriter(sys.argv[1], Experiment('CartPole-v1'), 0, {})\n"
        "print('there', flush=True)\ntime.sleep(600)"
    )
    folder = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "there\n"
        assert Run(folder).status == "running"
        process.kill()
    run = Run(folder)
    assert run.status == "died"
    assert abs((datetime.now(UTC) - run.heartbeat).total_seconds()) < 100
