from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dragoman.agents.distill.student import load_student
from dragoman.cli import app
from dragoman.engines.train import train
from dragoman.experiment import Algorithm, Experiment

runner = CliRunner()


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    experiment = Experiment(
        env="CartPole-v1", observe=None, steps=64, num_envs=2,
        algorithm=Algorithm("ppo", {"n_steps": 16, "batch_size": 16}, (8,)),
    )  # fmt: skip
    return train(experiment, out=tmp_path_factory.mktemp("runs") / "run").path


def test_export_says_what_it_wrote(run_folder: Path, tmp_path: Path) -> None:
    command = ["export", str(run_folder), "--out", str(tmp_path / "out")]
    result = runner.invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "wrote the heads only: this run did not train its language model" in result.output
    assert f"next: dragoman distill {run_folder}" in result.output
    assert (tmp_path / "out/heads.safetensors").is_file()
    assert "nothing to merge" in str(runner.invoke(app, [*command[:-1], "x", "--merged"]).exception)


def test_distill_shows_teacher_and_student(run_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["distill", str(run_folder), "--out", str(out), "--steps", "400", "--rounds", "2"]
    result = runner.invoke(app, [*command, "--episodes", "3", "--seed", "7", "--no-onnx"])
    assert result.exit_code == 0, result.output
    assert "return over 3 unseen episodes" in result.output
    assert f"next: in Python, dragoman.load_student({str(out)!r})" in result.output
    told = json.loads((out / "distilled.json").read_text())
    for name in ("teacher", "student"):
        row = next(line for line in result.output.splitlines() if line.strip("│ ").startswith(name))
        assert f"{told['returns'][name]['mean']:.3g}" in row
    assert f"{load_student(out).size:,}" in result.output
    assert (told["seed"], told["steps"], len(told["rounds"])) == (7, 384, 2)
    assert f"{told['agreement']['held_out']:.1%} of held-out states" in " ".join(
        result.output.split()
    )
    assert sorted(file.name for file in out.iterdir()) == [
        "distilled.json",
        "student.json",
        "student.safetensors",
    ]
