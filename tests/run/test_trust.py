from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import dragoman
from dragoman.agents.distill.distill import distill
from dragoman.agents.export import export
from dragoman.agents.record import record
from dragoman.cli import app
from dragoman.comparison.comparison import Comparison, EvaluationSettings
from dragoman.comparison.jobs import TrainJob
from dragoman.comparison.listing import find_rows
from dragoman.comparison.results import write_results
from dragoman.errors import ConfigError, DragomanError
from dragoman.experiment import Experiment
from dragoman.report.document import write_report
from dragoman.run import Run, RunWriter
from dragoman.run.trust import code_of
from tests.comparison.small_comparisons import make_comparison, write_comparison

runner = CliRunner()

CODE = """\
from pathlib import Path

import gymnasium as gym
import numpy as np

Path(__file__).with_suffix(".ran").touch()


class Env(gym.Env):
    \"\"\"Ends after three steps.\"\"\"

    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 3
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.left -= 1
        return np.zeros(2, np.float32), 1.0, self.left == 0, False, {}


def reward(texts):
    return [0.0 for _ in texts]
"""

NAMED: dict[str, tuple[dict[str, Any], str]] = {
    "environment in a file": ({"env": "{file}:Env"}, "the environment {file}:Env"),
    "environment in a module": ({"env": "evil:Env"}, "the environment evil:Env"),
    "environment that a package registers": ({"env": "evil:Evil-v0"}, "the environment evil:Evil"),
    "describer in a file": (
        {"describe": {"use": "{file}:Describer"}},
        "the describer {file}:Describer",
    ),
    "reward in a file": ({"reward": {"use": "{file}:reward"}}, "the reward {file}:reward"),
    "reward in a module": ({"reward": {"use": "evil:reward"}}, "the reward evil:reward"),
    "reward of Dragoman's insides": (
        {"reward": {"use": "dragoman.imports:import_name", "path": "{file}:Env"}},
        "the reward dragoman.imports:import_name",
    ),
    "code of a model": (
        {"model": {"name": "some/model", "trust_remote_code": True}},
        "the code that comes with the model some/model",
    ),
    "key for a server": (
        {
            "reward": {
                "use": "judge",
                "question": "Good?",
                "model": {"name": "m", "server": "https://evil.example", "api_key_env": "SECRET"},
            }
        },
        "requests to https://evil.example with the key in $SECRET",
    ),
}
"""Configs that name code, and how the refusal calls it; `{file}` is a Python file."""


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Python file that leaves a trace where it is imported, importable as a module too."""
    file = tmp_path / "code" / "evil.py"
    file.parent.mkdir()
    file.write_text(CODE)
    monkeypatch.syspath_prepend(str(file.parent))
    yield file
    sys.modules.pop("evil", None)


def has_run(evil: Path) -> bool:
    return evil.with_suffix(".ran").exists()


def filled(value: Any, file: Path) -> Any:
    if isinstance(value, dict):
        return {key: filled(one, file) for key, one in value.items()}
    return value.replace("{file}", str(file)) if isinstance(value, str) else value


def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go on as another user would, who has no notes."""
    monkeypatch.setenv("DRAGOMAN_DATA", str(tmp_path / "others"))


def write_run(folder: Path, experiment: Experiment) -> Run:
    with RunWriter(folder, experiment, 0, {}) as writer:
        writer.episode({"step": 3, "return": 1.0})
        writer.metric({"step": 3, "rollout/return_mean": 1.0})
        writer.save_weights({}, steps=3)
    return Run(folder)


@pytest.fixture(params=NAMED)
def foreign(
    request: pytest.FixtureRequest, evil: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Run, str]:
    """A run from elsewhere whose config names code, and what the refusal says."""
    config, line = NAMED[request.param]
    elsewhere(tmp_path / "theirs", monkeypatch)
    run = write_run(
        tmp_path / "run", Experiment.from_dict({"env": "CartPole-v1", **filled(config, evil)})
    )
    elsewhere(tmp_path, monkeypatch)
    return run, line.replace("{file}", str(evil))


def test_reading_imports_nothing(foreign: tuple[Run, str], evil: Path, tmp_path: Path) -> None:
    run, _ = foreign
    loaded = set(sys.modules)
    opened = Run(run.path)
    assert (opened.status, opened.steps, opened.seed) == ("finished", 3, 0)
    assert opened.metrics()
    assert opened.episodes()
    assert len(opened.curve()[0])
    (row,) = find_rows(tmp_path, text=run.path.name)
    assert row.status == "finished"
    for words in (["ls", str(tmp_path)], ["watch", str(run.path), "--once"]):
        assert runner.invoke(app, words, catch_exceptions=False).exit_code == 0
    assert not has_run(evil)
    assert "evil" not in set(sys.modules) - loaded


def test_playing_is_refused(foreign: tuple[Run, str], evil: Path, tmp_path: Path) -> None:
    run, line = foreign
    plays = {
        "evaluate": lambda: dragoman.evaluate(run, 1),
        "record": lambda: record(run),
        "export": lambda: export(run, tmp_path / "out"),
        "distill": lambda: distill(run, tmp_path / "out", onnx=False),
    }
    for play in plays.values():
        with pytest.raises(ConfigError) as error:
            play()
        assert line in error.value.problem
        assert "--trust-code" in error.value.cure
        assert "trust_code=True" in error.value.cure
    out = ["--out", str(tmp_path / "out")]
    for words in (["eval"], ["replay"], ["export", *out], ["distill", "--no-onnx", *out]):
        result = runner.invoke(app, [words[0], str(run.path), *words[1:]])
        assert isinstance(result.exception, ConfigError), result.output
        assert line in result.exception.problem
    assert not has_run(evil)
    assert not (tmp_path / "out").exists()


def test_the_users_word_is_enough(foreign: tuple[Run, str]) -> None:
    run, line = foreign
    run.require_trust(trust_code=True)
    assert any(line in item for item in code_of(run.experiment))


def test_a_comparison_from_elsewhere_is_read_without_importing(evil: Path, tmp_path: Path) -> None:
    made = make_comparison(tmp_path)
    data = made.to_dict()
    data["base"] |= {"env": f"{evil}:Env", "env_settings": {}}
    data["base"]["reward"] = {"use": f"{evil}:reward"}
    folder = tmp_path / "compared"
    scores = {"model": [0.5, 1.0], "no-model": [0.0, 0.1], "random-weights": [0.0, 0.2]}
    comparison = write_comparison(folder, Comparison.from_dict(data), scores)
    write_results(comparison)
    write_report(folder, tmp_path / "report.html")
    assert {row.name for row in find_rows(tmp_path)} == {"compared"}
    assert len(find_rows(folder)) == 6
    assert not has_run(evil)


def trained(evil: Path, out: Path) -> Run:
    settings = {"n_steps": 4, "batch_size": 4, "n_epochs": 1}
    data = {"env": f"{evil}:Env", "steps": 8, "num_envs": 1, "observe": None}
    experiment = Experiment.from_dict({**data, "algorithm": {"settings": settings}})
    return dragoman.train(experiment, out=out)


def test_what_a_user_has_trained_here_plays(
    evil: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(evil, tmp_path / "run")
    assert dragoman.evaluate(run, 1).mean == 3.0
    assert runner.invoke(app, ["eval", str(run.path), "--episodes", "1"]).exit_code == 0
    # The folder may be moved, but another config is another matter.
    moved = Path(shutil.move(run.path, tmp_path / "moved"))
    assert dragoman.evaluate(moved, 1).mean == 3.0
    config = moved / "config.yaml"
    kept = config.read_text()
    config.write_text(kept.replace("env_settings: {}", "env_settings: {command: rm}"))
    with pytest.raises(ConfigError, match="no note"):
        dragoman.evaluate(moved, 1)
    config.write_text(kept)
    # And so is other code in the same place.
    evil.write_text(CODE + "\n")
    with pytest.raises(ConfigError, match="as it is now"):
        dragoman.evaluate(moved, 1)
    assert dragoman.evaluate(moved, 1, trust_code=True).mean == 3.0
    words = ["eval", str(moved), "--episodes", "1", "--trust-code"]
    assert runner.invoke(app, words).exit_code == 0
    # The user's word holds for once.
    with pytest.raises(ConfigError, match="as it is now"):
        dragoman.evaluate(moved, 1)
    evil.write_text(CODE)
    elsewhere(tmp_path, monkeypatch)
    with pytest.raises(ConfigError, match="no note"):
        dragoman.evaluate(moved, 1)


def test_a_comparison_evaluates_no_foreign_run(
    evil: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(evil, tmp_path / "run")
    elsewhere(tmp_path, monkeypatch)
    # The user's own file names an environment that is harmless; the folder's config does not.
    mine = run.experiment.replaced({"env": "CartPole-v1"}).to_dict()
    job = TrainJob("model", 0, run.path, mine, EvaluationSettings(episodes=1), None, threads=1)
    with pytest.raises(ConfigError, match="no note"):
        job.run(lambda steps: None)
    assert not (run.path / "evaluation.json").exists()
    replace(job, trust_code=True).run(lambda steps: None)
    assert (run.path / "evaluation.json").is_file()


def test_a_training_goes_on_where_no_note_can_be_left(
    evil: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "others").write_text("a file, not a folder")
    elsewhere(tmp_path, monkeypatch)
    with pytest.warns(UserWarning, match="will need --trust-code"):
        run = trained(evil, tmp_path / "run")
    assert dragoman.evaluate(run, 1, trust_code=True).mean == 3.0


def test_what_names_no_code_needs_no_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere(tmp_path, monkeypatch)
    experiment = Experiment.from_dict(
        {"env": "CartPole-v1", "reward": {"use": "goal-similarity", "goal": "up"}}
    )
    write_run(tmp_path / "run", experiment).require_trust()
    assert code_of(replace(experiment, reward=None)) == {}
    assert not (tmp_path / "others").exists()


def test_a_file_that_is_gone_is_refused_all_the_same(evil: Path, tmp_path: Path) -> None:
    run = trained(evil, tmp_path / "run")
    evil.unlink()
    with pytest.raises(DragomanError):
        dragoman.evaluate(run, 1)
