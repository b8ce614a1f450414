from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from dragoman.cli import app
from dragoman.errors import RewardError
from dragoman.run import Run

runner = CliRunner()
EXPERIMENT = """\
env: FrozenLake-v1
observe: null
steps: 64
num_envs: 2
algorithm: {name: ppo, settings: {n_steps: 16, batch_size: 16}}
"""
OWN = """\
def far(texts, scale=1.0, word="row"):
    return [scale * text.count(word) for text in texts]


def broken(texts):
    return [float("nan") for _ in texts]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "experiment.yaml").write_text(EXPERIMENT)
    (tmp_path / "my_rewards.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(*sets: str):
    options = [word for item in sets for word in ("--set", item)]
    return runner.invoke(app, ["train", "experiment.yaml", "--out", "run", *options])


def test_a_reward_and_its_fields_are_named_on_the_command_line(folder: Path) -> None:
    result = train("reward.use=my_rewards.py:far", "reward.scale=2", "reward.word=column")
    assert result.exit_code == 0, result.output
    run = Run("run")
    (term,) = run.experiment.reward.terms.values()
    assert dict(term.settings) == {"scale": 2, "word": "column"}
    # Two columns a text: 2 * 2 * (0.99 - 1) each step, and -4 where it ends in a hole.
    row = run.episodes()[0]
    expected = 4 * (0.99 - 1) * (row["length"] - 1) - 4
    assert row["reward/far"] == pytest.approx(expected)
    evaluated = runner.invoke(app, ["eval", "run", "--episodes", "2"])
    assert evaluated.exit_code == 0, evaluated.output
    replayed = runner.invoke(app, ["replay", "run", "--steps", "3", "--out", "page.html"])
    assert replayed.exit_code == 0, replayed.output
    assert '"far":' in Path("page.html").read_text()


def test_mistakes_say_what_to_do(folder: Path) -> None:
    wrong = train("reward.use=my_rewards.py:far", "reward.scael=2")
    assert "did you mean 'scale'" in str(wrong.exception)
    missing = train("reward.use=my_rewards.py:fra")
    assert "there is no 'fra' in 'my_rewards.py' (did you mean 'far'?)" in str(missing.exception)
    broken = train("reward.use=my_rewards.py:broken")
    assert isinstance(broken.exception, RewardError)
    assert "the reward 'broken' gave nan for the text 'You stand" in str(broken.exception)
    assert not Path("run").exists()  # no step was taken
