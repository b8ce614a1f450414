from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dragoman.agents.evaluate import evaluate, evaluate_random
from dragoman.agents.record import record
from dragoman.engines.train import train
from dragoman.experiment import Algorithm, Experiment
from dragoman.models.spec import ModelSpec
from dragoman.roles.act.settings import Act
from dragoman.roles.observe.settings import Observe
from dragoman.testing import ScriptedModel
from tests.number_reader import read_numbers
from tests.text_tasks import bag_of_words, says_the_colour

SETTINGS = {"n_steps": 32, "batch_size": 64, "n_epochs": 4, "learning_rate": 0.01, "gamma": 0.5}
LAMPS = Experiment(
    env="tests.text_tasks:Lamps",
    steps=4096,
    num_envs=8,
    algorithm=Algorithm("ppo", SETTINGS, (32,)),
)
WORDS = ModelSpec("words")
POLICIES = [
    Act("head"),
    Act("match"),
    Act("match", interaction="dot"),
    Act("score"),
    Act("hybrid"),
    Act("hybrid", base="match"),
]


def model() -> ScriptedModel:
    return ScriptedModel(bag_of_words, log_probs=says_the_colour)


def name(act: Act) -> str:
    return f"{act.policy} {act.base} {act.interaction}"


@pytest.mark.parametrize("act", POLICIES, ids=name)
@pytest.mark.parametrize("algorithm", ["ppo", "a2c"])
def test_every_policy_trains_is_restored_and_obeys_the_mask(
    act: Act, algorithm: str, tmp_path: Path
) -> None:
    settings = {**SETTINGS} if algorithm == "ppo" else {"n_steps": 8}
    short = replace(
        LAMPS,
        steps=256,
        num_envs=2,
        act=act,
        env_settings={"length": 3},
        algorithm=Algorithm(algorithm, settings, (8,)),
    )
    run = train(short, out=tmp_path / "run", model=model())
    # The environment raises where an invalid action is taken.
    played = evaluate(run, 10, model=model())
    assert played == evaluate(run, 10, model=model())
    drawn = evaluate(run, 10, sampled=True, model=model())
    assert drawn == evaluate(run, 10, sampled=True, model=model())
    assert evaluate(run, 3, model=model()).episodes == played.episodes[:3]
    weights = run.weights()
    assert all(key.startswith(("policy.", "observer.")) for key in weights)
    if act.reads_scores:
        assert "policy.actor.log_temperature" in weights or "hybrid" in name(act)
    step = record(run, model=model()).episodes[0].steps[0]
    shares = step.weighed[0].weights
    assert sum(shares) == pytest.approx(1)
    assert shares.count(0.0) == 1
    assert "lamp" in step.text


@pytest.mark.parametrize(
    "act", [act for act in POLICIES if act.policy in ("match", "hybrid")], ids=name
)
def test_what_actions_are_called_is_learnt(act: Act, tmp_path: Path) -> None:
    experiment = replace(LAMPS, act=act)
    # Which of the buttons is right can only be told by its text: a head earns a third.
    if act == Act("hybrid"):
        experiment = replace(experiment, steps=1024)
    run = train(experiment, out=tmp_path / "run", model=model())
    assert evaluate(run, 60, model=model()).mean > 0.95
    assert evaluate(run, 60, sampled=True, model=model()).mean > 0.7


def test_a_frozen_score_policy_only_grows_surer(tmp_path: Path) -> None:
    run = train(replace(LAMPS, act=Act("score")), out=tmp_path / "run", model=model())
    ((name_, learnt),) = ((k, v) for k, v in run.weights().items() if "log_temperature" in k)
    assert learnt < -1
    assert evaluate(run, 60, sampled=True, model=model()).mean > 0.95
    wrong = ScriptedModel(bag_of_words, log_probs=lambda p, c: -np.array(says_the_colour(p, c)))
    run = train(replace(LAMPS, act=Act("score")), out=tmp_path / "wrong", model=wrong)
    # Of a model that is wrong it can only become less sure: it never beats chance.
    assert run.weights()[name_] > 1
    assert evaluate(run, 60, model=wrong).mean == 0
    assert evaluate(run, 200, sampled=True, model=wrong).mean < 0.4


def test_placebos_do_not_learn_what_the_model_knows(tmp_path: Path) -> None:
    arm = replace(LAMPS, act=Act("score"))
    for control in arm.act.controls[1:]:
        run = train(arm.replaced(control.overrides), out=tmp_path / control.name, model=model())
        assert evaluate(run, 200, sampled=True, model=model()).mean < 0.45


def test_a_learned_embedding_reads_texts_and_actions(tmp_path: Path) -> None:
    experiment = replace(
        LAMPS,
        steps=6000,
        act=Act("match", model=WORDS, interaction="dot"),
        observe=Observe(model=WORDS, pooling=("mean",)),
    )
    assert not experiment.uses_model
    run = train(experiment, out=tmp_path / "run")
    # Chance is a third.
    assert evaluate(run, 60).mean > 0.6
    assert run.last_metrics()["model/tokens"] == 0


def test_heads_of_continuous_and_raw_spaces(tmp_path: Path) -> None:
    pendulum = Experiment(
        env="Pendulum-v1", steps=64, num_envs=2, observe=None, act=Act(),
        algorithm=Algorithm("ppo", {"n_steps": 8, "batch_size": 16, "n_epochs": 1}, (8,)),
    )  # fmt: skip
    run = train(pendulum, out=tmp_path / "pendulum")
    assert run.weights()["policy.log_std"].shape == (1,)
    assert len(evaluate(run, 2).episodes) == 2


def test_a_head_learns_cartpole_as_without_the_role(tmp_path: Path) -> None:
    settings = {"n_steps": 32, "batch_size": 256, "n_epochs": 20, "gae_lambda": 0.8}
    settings |= {"gamma": 0.98, "learning_rate": 0.001}
    experiment = Experiment(
        env="CartPole-v1", steps=12_000, act=Act(), algorithm=Algorithm("ppo", settings)
    )
    asked = ScriptedModel(read_numbers)
    run = train(experiment, out=tmp_path / "run", model=asked)
    assert evaluate(run, 10, model=asked).mean > 150 > 2 * evaluate_random(experiment, 10).mean
