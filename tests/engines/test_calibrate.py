from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from dragoman.engines.assembly import moments_of, observer_of, spec_of
from dragoman.engines.calibrate import calibrate, steps_before
from dragoman.engines.train import train
from dragoman.engines.watcher import Watcher
from dragoman.environments import make_environment
from dragoman.environments.vector import make_vector
from dragoman.experiment import Algorithm, Experiment
from dragoman.models.catalog import load_model
from dragoman.roles.observe.settings import Observe
from dragoman.roles.role import Models, remembering
from dragoman.testing import ScriptedModel
from tests.number_reader import read_numbers


def calibrated(experiment: Experiment, seed: int = 0):
    env = make_vector(spec_of(experiment), 1)
    moments = moments_of(experiment, env)
    observer = observer_of(experiment, env, Models(remembering(ScriptedModel(read_numbers)), 0))
    make = partial(make_environment, spec_of(experiment), experiment.env_settings)
    calibrate(observer, steps_before(experiment, observer), make, moments, seed)
    env.close()
    return observer


@pytest.mark.parametrize(("freeze_after", "seen"), [(None, 1024), (100, 100)])
def test_what_is_learnt_of_random_play_stands_still(freeze_after: int | None, seen: int) -> None:
    experiment = Experiment(env="CartPole-v1", observe=Observe(freeze_after=freeze_after))
    observer = calibrated(experiment)
    before = observer.state()
    # The first moments of new episodes are read too.
    assert seen <= int(before["count"]) <= seen * 1.2 + 33
    other = make_vector(spec_of(experiment), 4)
    observations, _ = other.reset(seed=1)
    make = moments_of(experiment, other)
    observer([make(observation, {}) for observation in observations])
    other.close()
    after = observer.state()
    assert all(np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({}, 1024),
        ({"steps": 100}, 100),
        ({"steps": 100, "observe.freeze_after": 300}, 300),
        ({"observe.standardise": False}, 0),
        ({"observe": None, "act": {"policy": "match"}}, 1024),
        ({"observe": None, "act": {"policy": "score"}}, 0),
        ({"observe.model": "words"}, 0),
    ],
)
def test_play_is_as_long_as_there_is_something_to_learn(changes: dict, steps: int) -> None:
    experiment = Experiment(env="CartPole-v1").replaced(changes)
    env = make_vector(spec_of(experiment), 1)
    observer = observer_of(experiment, env, Models(remembering(ScriptedModel(read_numbers)), 0))
    assert steps_before(experiment, observer) == steps
    env.close()


def test_a_model_that_is_trained_reads_what_nothing_is_learnt_of(tiny_gpt2_path: Path) -> None:
    experiment = Experiment(env="CartPole-v1").replaced({"act": {"policy": "match", "tune": {}}})
    env = make_vector(spec_of(experiment), 1)
    model = remembering(load_model(str(tiny_gpt2_path)))
    assert steps_before(experiment, observer_of(experiment, env, Models(model, 0))) == 0
    env.close()


class Stages(Watcher):
    """Notes what is done before a training, and how many steps it has at the end."""

    steps: int = 0

    def __init__(self) -> None:
        self.said: list[str] = []

    def stage(self, what):
        self.said.append(what)

    def end(self, training):
        self.steps = training.steps


def test_a_training_sees_what_was_learnt_before_and_does_not_count_it(tmp_path: Path) -> None:
    settings = {"n_steps": 16, "batch_size": 32, "n_epochs": 1}
    experiment = Experiment(
        env="CartPole-v1", steps=64, num_envs=2, algorithm=Algorithm("ppo", settings, (8,))
    )
    stages = Stages()
    model = ScriptedModel(read_numbers)
    run = train(experiment, 3, out=tmp_path / "run", model=model, watchers=[stages])
    assert "calibrating by 64 random steps" in stages.said
    assert stages.steps == run.steps == 64
    assert run.environment["calibration"]["steps"] == 64
    assert run.environment["calibration"]["seconds"] > 0
    # Random play of the same name, and nothing of the training.
    expected = calibrated(experiment, 3).state()
    weights = run.weights()
    assert all(np.array_equal(weights[f"observer.{key}"], value) for key, value in expected.items())


def test_one_seed_one_state() -> None:
    experiment = Experiment(env="CartPole-v1", observe=Observe(freeze_after=64))
    first, again, other = (calibrated(experiment, seed).state() for seed in (0, 0, 1))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["mean"], other["mean"])
