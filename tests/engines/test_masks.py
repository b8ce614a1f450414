"""Agents keep to what is valid, with the act role and without."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dragoman.agents.distill.dagger import Distillation
from dragoman.agents.distill.distill import distill
from dragoman.agents.distill.student import load_student
from dragoman.agents.evaluate import evaluate, evaluate_random
from dragoman.agents.export import export
from dragoman.agents.record import record
from dragoman.engines.masks import MaskWarning
from dragoman.engines.train import train
from dragoman.errors import SpaceError
from dragoman.experiment import Algorithm, Experiment
from dragoman.roles.act.settings import Act
from dragoman.roles.observe.settings import Observe
from dragoman.run import Run
from dragoman.testing import ScriptedModel
from tests.masked_task import CONVENTIONS
from tests.number_reader import read_numbers

ALGORITHMS = {
    "ppo": Algorithm("ppo", {"n_steps": 16, "batch_size": 32, "n_epochs": 2}, (8,)),
    "a2c": Algorithm("a2c", {"n_steps": 8}, (8,)),
}


def short(env: str, **settings) -> Experiment:
    given = {"steps": 128, "num_envs": 2, "observe": None, "algorithm": ALGORITHMS["ppo"]}
    return Experiment(env=f"tests.masked_task:{env}", **{**given, **settings})


def model() -> ScriptedModel:
    return ScriptedModel(read_numbers)


@pytest.mark.parametrize("act", [None, Act()])
@pytest.mark.parametrize("observe", [None, Observe()])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("env", CONVENTIONS)
def test_agents_obey_every_convention(
    env: str, algorithm: str, observe: Observe | None, act: Act | None, tmp_path: Path
) -> None:
    # The environment raises where an invalid action is taken.
    experiment = short(env, algorithm=ALGORITHMS[algorithm], observe=observe, act=act)
    run = train(experiment, out=tmp_path / "run", model=model())
    evaluate(run, 5, model=model())
    evaluate(run, 5, sampled=True, model=model())
    step = record(run, model=model()).episodes[0].steps[0]
    assert sum(step.weighed[0].weights) == pytest.approx(1)
    assert step.weighed[0].weights.count(0.0) == 2
    # What was asked for stands in the run as it was asked for.
    assert Run(run.path).experiment == experiment
    assert run.environment.get("masks") == ("obeyed" if act is None else None)


def test_a_masked_head_learns_is_exported_and_taught(tmp_path: Path) -> None:
    run = train(short("InInfo", steps=2048), out=tmp_path / "run")
    assert evaluate(run, 20).mean > evaluate_random(short("InInfo"), 20).mean + 1
    export(run, tmp_path / "exported")
    told = json.loads((tmp_path / "exported/heads.json").read_text())
    assert any("actor" in name for name in told["tensors"])
    result = distill(run, tmp_path / "student", Distillation(steps=256, rounds=2), episodes=3)
    assert load_student(tmp_path / "student").shape.masked
    assert all(episode.length == 5 for episode in result.followed.episodes)


@pytest.mark.parametrize(
    ("env", "algorithm"),
    [
        ("Tolerant", Algorithm("dqn", {"learning_starts": 20}, (8,))),
        ("Several", ALGORITHMS["ppo"]),
    ],
)
def test_who_cannot_obey_says_so_once(env: str, algorithm: Algorithm, tmp_path: Path) -> None:
    with pytest.warns(MaskWarning, match=f"{algorithm.name} cannot keep to it") as told:
        run = train(short(env, algorithm=algorithm), out=tmp_path / "run")
    assert len([item for item in told if item.category is MaskWarning]) == 1
    assert run.environment["masks"] == "ignored"
    evaluate(run, 2)


def test_without_masks_nothing_is_said_and_the_network_is_the_algorithms_own(
    tmp_path: Path,
) -> None:
    experiment = Experiment(
        env="CartPole-v1", steps=64, num_envs=2, observe=None, algorithm=ALGORITHMS["ppo"]
    )
    run = train(experiment, out=tmp_path / "run")
    assert "masks" not in run.environment
    assert "policy.actor.0.weight" in run.weights()


@pytest.mark.parametrize("observe", [None, Observe()])
def test_a_training_ends_where_nothing_is_admissible(
    observe: Observe | None, tmp_path: Path
) -> None:
    stuck = short("Stuck", observe=observe, env_settings={"at": 2})
    with pytest.raises(SpaceError, match="no action is valid at step 2"):
        train(stuck, out=tmp_path / "run", model=model())
    # The random episode before the training meets it first.
    assert not (tmp_path / "run").exists()
    cut = short("Stuck", observe=observe, env_settings={"at": 2, "cut": True})
    run = train(cut, out=tmp_path / "cut", model=model())
    assert all(np.array([row["length"] for row in run.episodes()]) == 2)
