"""Trainings on what the words of a text are, with nothing known of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dragoman.agents.evaluate import evaluate
from dragoman.engines.train import train
from dragoman.experiment import Algorithm, Describe, Experiment
from dragoman.models.spec import ModelSpec
from dragoman.roles.observe.settings import Observe

LAKE = Experiment(
    env="FrozenLake-v1",
    env_settings={"is_slippery": False, "desc": ["SFF", "HFH", "HFG"]},
    steps=2048,
    num_envs=8,
    describe=Describe(observation="row {row}, column {column} of {rows} rows"),
    algorithm=Algorithm(
        "ppo", {"n_steps": 32, "batch_size": 64, "learning_rate": 0.003, "gamma": 0.9}, (32,)
    ),
    observe=Observe(model=ModelSpec("words")),
)


@pytest.mark.slow
def test_a_policy_learns_from_the_text_alone_and_is_restored(tmp_path: Path) -> None:
    assert not LAKE.uses_model
    run = train(LAKE, out=tmp_path / "run")
    played = evaluate(run, 3)
    assert played.returns == [1.0, 1.0, 1.0]
    assert played == evaluate(run, 3)
    _, returns = run.curve(8)
    assert returns[-1] > 0.7 > 2 * returns[0]
    # No token went through a model, and no such cost is claimed.
    assert run.last_metrics()["model/tokens"] == 0


@pytest.mark.parametrize("name", ["dqn", "a2c"])
def test_other_algorithms_take_it_too(name: str, tmp_path: Path) -> None:
    run = train(replace(LAKE, steps=64, algorithm=Algorithm(name)), out=tmp_path / "run")
    assert len(evaluate(run, 2).returns) == 2


def test_it_serves_as_the_model_of_the_experiment(tmp_path: Path) -> None:
    short = replace(LAKE, steps=64, algorithm=Algorithm("ppo", network=(8,)))
    main = replace(short, model=ModelSpec("words"), observe=Observe())
    assert main.uses_model
    run = train(main, out=tmp_path / "main")
    own = train(short, out=tmp_path / "own")
    assert run.episodes() == own.episodes()
