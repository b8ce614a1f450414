from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from dragoman.experiment import Experiment
from dragoman.report.live import learning_curve, view
from dragoman.roles.act.settings import Act
from dragoman.run import Run, RunWriter

EXPERIMENT = Experiment(env="CartPole-v1", steps=1000)


def shown(run: Run) -> str:
    console = Console(width=100, file=io.StringIO())
    console.print(view(run))
    return console.file.getvalue()


def test_a_run_that_has_just_begun(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run", EXPERIMENT, seed=3, compute={}) as writer:
        text = shown(Run(writer.path))
    assert "running  CartPole-v1 · ppo · smollm2-135m · seed 3" in text
    assert "0 of 1,000 steps (0%)" in text
    assert "no episode has ended yet" in text
    assert learning_curve(Run(tmp_path / "run")) is None


def test_the_model_is_named_whichever_role_uses_it(tmp_path: Path) -> None:
    roles = {
        "act": replace(EXPERIMENT, observe=None, act=Act(policy="score")),
        "no": replace(EXPERIMENT, observe=None),
    }
    for name, experiment in roles.items():
        RunWriter(tmp_path / name, experiment, seed=0, compute={})
    assert "smollm2-135m · seed 0" in shown(Run(tmp_path / "act"))
    assert "no model · seed 0" in shown(Run(tmp_path / "no"))


def test_a_running_run_shows_steps_returns_and_cost(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run", EXPERIMENT, seed=0, compute={}) as writer:
        for step in range(100, 500, 100):
            writer.episode({"step": step, "return": step / 10})
        writer.metric({"step": 400, "model/tokens": 1234.0, "train/loss": 0.125})
        text = shown(Run(writer.path))
        assert "400 of 1,000 steps (40%)" in text
        assert "model: 1,234 tokens" in text
        assert "train/loss" in text
        assert "0.125" in text
        assert "CartPole-v1: return of training episodes" in text
        assert "gone" not in text
    ended = shown(Run(writer.path))
    assert ended.count("finished") == 1
    assert "gone" not in ended


def test_a_run_whose_process_was_killed_says_so(tmp_path: Path) -> None:
    RunWriter(tmp_path / "run", EXPERIMENT, seed=0, compute={})
    file = tmp_path / "run" / "status.json"
    said = json.loads(file.read_text()) | {"heartbeat": "2026-01-02T03:04:05+00:00"}
    file.write_text(json.dumps(said))
    text = shown(Run(tmp_path / "run"))
    assert "died  CartPole-v1" in text
    assert "its process is gone; last heartbeat 2026-01-0" in text
