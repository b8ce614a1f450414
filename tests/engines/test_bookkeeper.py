from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dragoman.engines import bookkeeper as bookkeeping
from dragoman.engines.train import train
from dragoman.engines.watcher import Watcher
from dragoman.errors import DivergenceError
from dragoman.experiment import Algorithm, Experiment
from dragoman.run import Run, RunWriter

SMALL = {"n_steps": 8, "batch_size": 16, "n_epochs": 1}
SETTINGS = {
    "ppo": SMALL,
    "a2c": {"n_steps": 8},
    "dqn": {"learning_starts": 20},
    "recurrent-ppo": SMALL,
    "sac": {"learning_starts": 20},
    "td3": {"learning_starts": 20},
}


def experiment(name: str, **settings: object) -> Experiment:
    return Experiment(
        env="Pendulum-v1" if name in ("sac", "td3") else "CartPole-v1",
        steps=400,
        num_envs=2,
        observe=None,
        algorithm=Algorithm(name, {**SETTINGS[name], **settings}, (8,)),
    )


class Break(Watcher):
    """Puts NaN into a weight, as an update that diverges does."""

    def __init__(self, at: int) -> None:
        self.at = at

    def step(self, training, infos) -> None:
        if training.steps >= self.at:
            with torch.no_grad():
                next(training.policy.parameters()).view(-1)[0] = torch.nan


@pytest.mark.parametrize("name", SETTINGS)
def test_weights_that_are_no_numbers_fail_and_the_last_good_stay(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bookkeeping, "CHECKPOINT_SECONDS", 0.0)
    out = tmp_path / "run"
    with pytest.raises(DivergenceError, match="NaN or infinite by step") as error:
        train(experiment(name), out=out, watchers=[Break(104)])
    assert "learning_rate" in error.value.cure
    run = Run(out)
    assert run.status == "failed"
    assert 80 <= run.steps <= 104
    assert all(np.isfinite(tensor).all() for tensor in run.weights().values())


@pytest.mark.parametrize("name", ["ppo", "dqn"])
def test_a_last_update_that_diverges_does_not_finish(name: str, tmp_path: Path) -> None:
    with pytest.raises(DivergenceError):
        train(experiment(name), out=tmp_path / "run", watchers=[Break(400)])
    run = Run(tmp_path / "run")
    assert run.status == "failed"
    assert not (run.path / "weights.safetensors").exists()


@pytest.mark.parametrize("rate", [1e20, 1e30])
def test_a_learning_rate_far_too_high_is_named(rate: float, tmp_path: Path) -> None:
    with pytest.raises(DivergenceError, match=r"the policy's (weights|outputs) became"):
        train(experiment("ppo", learning_rate=rate), out=tmp_path / "run")
    assert Run(tmp_path / "run").status == "failed"


def test_a_run_folder_keeps_the_last_finite_weights(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run", experiment("ppo"), 0, {}) as writer:
        writer.save_weights({"policy.a": np.ones(2, np.float32)}, steps=8)
        for bad in (np.nan, np.inf):
            broken = {"policy.a": np.zeros(2), "policy.b": np.array([0, bad])}
            with pytest.raises(DivergenceError, match=r"by step 16 \(policy.b\)"):
                writer.save_weights(broken, steps=16)
    run = Run(tmp_path / "run")
    assert run.steps == 8
    assert run.weights()["policy.a"].tolist() == [1, 1]
