from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dragoman.errors import RunError
from dragoman.experiment import Experiment
from dragoman.run import Run, RunWriter

EXPERIMENT = Experiment(env="CartPole-v1", steps=9)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    weights = {"policy.w": np.arange(6.0).reshape(2, 3).T, "observer.count": np.array(4)}
    with RunWriter(tmp_path / "run", EXPERIMENT, seed=3, compute={"device": "cpu"}) as writer:
        writer.metric({"step": 1, "loss": np.float32(0.5)})
        writer.episode({"return": 2.0})
        writer.save_weights(weights, steps=9)
        assert Run(writer.path).status == "running"
    run = Run(tmp_path / "run")
    assert run.experiment == EXPERIMENT
    assert (run.status, run.steps, run.seed) == ("finished", 9, 3)
    assert run.metrics() == [{"step": 1, "loss": 0.5}]
    assert run.episodes() == [{"return": 2.0}]
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
