"""A run's play as a data set of Minari, and a model that is taught by one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dragoman.agents.evaluate import evaluate
from dragoman.agents.teach.fitting import Teaching
from dragoman.agents.teach.minari import export_minari
from dragoman.agents.teach.teach import teach
from dragoman.cli import app
from dragoman.engines.train import train
from dragoman.errors import ConfigError, RunError, SpaceError
from dragoman.run import Run
from tests.models import tiny

minari = pytest.importorskip("minari", reason="needs the extra 'minari'")

SHORT = Teaching(steps=60, epochs=1, learning_rate=0.01)
ALGORITHM = {"name": "ppo", "settings": {"n_steps": 8, "batch_size": 16}}
RAW = {"observe": None, "steps": 16, "num_envs": 2, "algorithm": ALGORITHM}


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "lake"
    return train({"env": "FrozenLake-v1", **RAW}, out=out)


def test_play_is_exported_and_taught_from(run: Run, tmp_path: Path) -> None:
    arguments = ["export", str(run.path), "--to", "minari:lake/raw-v0", "--episodes", "8"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    dataset = minari.load_dataset("lake/raw-v0")
    assert dataset.recover_environment().spec.id == "FrozenLake-v1"
    played = evaluate(run, 8)
    episodes = list(dataset.iterate_episodes())
    assert [float(one.rewards.sum()) for one in episodes] == played.returns
    assert [len(one) for one in episodes] == [one.length for one in played.episodes]
    model = str(tiny.save("llama", tmp_path / "llama"))
    taught = teach(model, "minari:lake/raw-v0", tmp_path / "taught", SHORT)
    whole = min(SHORT.steps, sum(map(len, episodes)))
    assert taught.record["states"] + taught.record["held_out"] == whole
    assert taught.accuracy >= taught.record["epochs"][0]["accuracy"]
    with pytest.raises(RunError, match="exists and is not empty"):
        export_minari(run, "lake/raw-v0")
    other = {"env": "CartPole-v1", "model": model, "observe": None}
    other["act"] = {"policy": "score", "tune": {"how": "lora"}}
    with pytest.raises(ConfigError, match="has env 'FrozenLake-v1', but the learner 'CartPole-v1'"):
        teach(other, "minari:lake/raw-v0", tmp_path / "other", SHORT)
    metadata = tmp_path / "minari/lake/raw-v0/data/metadata.json"
    metadata.write_text(json.dumps({**json.loads(metadata.read_text()), "env_spec": None}))
    with pytest.raises(SpaceError, match="does not lie in"):
        teach(other, "minari:lake/raw-v0", tmp_path / "other", SHORT)


def test_masks_and_texts_of_actions_come_back(tmp_path: Path) -> None:
    task = {"env": "tests.text_tasks:Lamps", "env_settings": {"length": 3}}
    act = {"policy": "head"}
    raw = {**RAW, **task, "observe": {"model": "words"}, "act": act}
    run = train(raw, out=tmp_path / "run")
    export_minari(run, "lamps/raw-v0", episodes=4)
    (first, *_) = minari.load_dataset("lamps/raw-v0").iterate_episodes()
    assert first.infos["action_mask"].sum(axis=1).tolist()[:3] == [3, 3, 3]
    model = str(tiny.save("llama", tmp_path / "llama"))
    learner = {**task, "model": model, "observe": None}
    learner["act"] = {"policy": "score", "tune": {"how": "lora"}}
    taught = teach(learner, "minari:lamps/raw-v0", tmp_path / "taught", SHORT)
    assert taught.record["left_out"] == 0
    assert taught.record["states"] + taught.record["held_out"] == 12
    assert np.isclose(taught.teacher["mean"], evaluate(run, 4).mean)


def test_a_data_set_that_cannot_teach_is_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="minari download nobody/knows-v0"):
        teach("model", "minari:nobody/knows-v0", tmp_path / "out", SHORT)
    with pytest.raises(ConfigError, match="is no id of a data set"):
        teach("model", "minari:no id", tmp_path / "out", SHORT)
    folder = tmp_path / "minari/swing/raw-v0/data"
    folder.mkdir(parents=True)
    about = {"observation_space": '{"type": "Box"}', "action_space": '{"type": "Box"}'}
    (folder / "metadata.json").write_text(json.dumps(about))
    with pytest.raises(ConfigError, match="has actions of 'Box'"):
        teach("model", "minari:swing/raw-v0", tmp_path / "out", SHORT)
    # What it names would be made by Minari, where no spaces are stored.
    (folder / "metadata.json").write_text('{"env_spec": "{}"}')
    with pytest.raises(ConfigError, match="whose spaces are stored"):
        teach("model", "minari:swing/raw-v0", tmp_path / "out", SHORT)
    result = CliRunner().invoke(app, ["export", str(run.path), "--to", "parquet"])
    assert isinstance(result.exception, ConfigError)
    assert "minari:ID" in str(result.exception)
