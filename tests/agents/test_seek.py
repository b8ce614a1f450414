from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import dragoman
from dragoman.agents.seek import load_dataset, seek
from dragoman.cli import app
from dragoman.engines.train import train
from dragoman.errors import ConfigError, RunError
from dragoman.experiment import Experiment
from dragoman.roles.explore.demonstrations import NAME, Demonstrations
from tests.exploring import Chain, prior_model

DATA: dict[str, Any] = {
    "env": "tests.exploring:Chain",
    "describe": {"use": "tests.exploring:ChainTold"},
    "observe": None,
    "num_envs": 4,
    "steps": 400,
}


def test_ways_to_rewards_are_found_and_saved_as_a_dataset(tmp_path: Path) -> None:
    out = tmp_path / "ways"
    found = seek(DATA, out=out, model=prior_model(), keep=2)
    best = found.episodes[0]
    assert best.episode_return > 0
    assert len(best.actions) <= 2 * Chain.length
    assert Demonstrations.read(out) == found
    dataset = load_dataset(out)
    assert len(dataset) == sum(len(one.actions) for one in found.episodes)
    # One-hot rooms, from the first on.
    assert dataset.observations.shape[1] == Chain.length
    assert dataset.observations[0].argmax() == 0
    assert dataset.labels[: len(best.actions)].tolist() == list(best.actions)
    assert dataset.masks.all()
    assert seek(DATA, model=prior_model(), keep=2).episodes == found.episodes
    with pytest.raises(RunError, match="ways"):
        seek(DATA, out=out, model=prior_model())


def test_each_start_has_ways_of_its_own() -> None:
    found = seek(DATA, model=prior_model(), starts=2, keep=1)
    assert len({one.seed for one in found.episodes}) == 2
    other = seek(DATA, 1, model=prior_model(), keep=1)
    assert other.episodes[0].seed not in {one.seed for one in found.episodes}


def test_dqn_begins_with_their_steps_in_its_memory(tmp_path: Path) -> None:
    ways = seek(DATA, out=tmp_path / "ways", model=prior_model(), keep=1)
    dqn = {"name": "dqn", "demonstrations": str(tmp_path / "ways")}
    experiment = Experiment.from_dict({**DATA, "algorithm": dqn})
    memory: dict[str, Any] = {}

    class Look(dragoman.Watcher):
        def begin(self, training: Any) -> None:
            buffer = training.algorithm.replay_buffer
            memory.update(
                count=buffer.pos * buffer.n_envs,
                rooms=buffer.observations[: buffer.pos].reshape(-1),
                actions=buffer.actions[: buffer.pos].reshape(-1),
                rewards=buffer.rewards[: buffer.pos].reshape(-1),
                cut=buffer.timeouts[: buffer.pos].reshape(-1),
            )

    run = train(experiment, out=tmp_path / "run", watchers=[Look()])
    (way,) = ways.episodes
    count = len(way.actions)
    assert memory["count"] == -(-count // 4) * 4
    assert memory["rooms"][0] == 0
    assert memory["actions"][:count].tolist() == list(way.actions)
    assert memory["rewards"][:count].sum() == way.episode_return
    assert memory["cut"][:count].sum() == (count == 2 * Chain.length)
    # What was shown is none of the training's episodes.
    assert run.last_metrics()["step"] <= DATA["steps"]


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    seek(DATA, out=tmp_path / "ways", model=prior_model())
    ways = str(tmp_path / "ways")
    with pytest.raises(ConfigError, match="ppo has no memory"):
        Experiment.from_dict({**DATA, "algorithm": {"name": "ppo", "demonstrations": ways}})
    other = {"env": "FrozenLake-v1", "algorithm": {"name": "dqn", "demonstrations": ways}}
    with pytest.raises(ConfigError, match=r"are of tests.exploring:Chain with \{\}, not of Frozen"):
        train(Experiment.from_dict({**DATA, **other, "describe": {}}), out=tmp_path / "run")
    (tmp_path / "ways" / NAME).write_text('{"episodes": [{"seed": 1}]}')
    with pytest.raises(RunError, match="holds no demonstrations"):
        Demonstrations.read(ways)
    with pytest.raises(ConfigError, match="visits is 0"):
        seek(DATA, visits=0)
    with pytest.raises(ConfigError, match="guide scores the texts of single actions"):
        seek({"env": "Pendulum-v1", "observe": None, "model": "gpt2"})


def test_the_command_line_says_what_was_found(tmp_path: Path) -> None:
    out = tmp_path / "ways"
    result = CliRunner().invoke(
        app,
        ["seek", "FrozenLake-v1", "--out", str(out), "--visits", "40", "--set",
         "env_settings={is_slippery: false}", "--set", "guide={scores: uniform}"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "return 1 in" in result.output
    assert np.isfinite(len(load_dataset(out)))
    assert f"folder: {out}" in result.output.replace("\n", "")
