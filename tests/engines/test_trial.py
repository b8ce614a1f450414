"""What is wrong with an environment is said before a training, with its place and its name."""

from __future__ import annotations

import inspect
import random
import warnings
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

from dragoman.agents.evaluate import evaluate
from dragoman.describe.moment import MomentMaker
from dragoman.engines import trial
from dragoman.engines.check import check
from dragoman.engines.train import train
from dragoman.engines.trial import try_episode
from dragoman.environments import environment_spec, make_environment
from dragoman.environments.fits import misfits
from dragoman.environments.guard import BoundsWarning
from dragoman.errors import ConfigError, SpaceError
from dragoman.experiment import Experiment
from dragoman.models.spec import ModelSpec
from tests.engines import robots

MOMENTS = MomentMaker(lambda: pytest.fail("nothing is to be described"), gym.spaces.Discrete(2))
FILE = inspect.getsourcefile(robots)


def experiment(robot: str, **more) -> Experiment:
    data = {"env": f"tests.engines.robots:{robot}", "steps": 32, "num_envs": 2, "observe": "off"}
    data |= {"algorithm": {"settings": {"n_steps": 8, "batch_size": 8}, "network": [4]}}
    return Experiment.from_dict(data | more)


def maker(robot: str):
    return lambda: make_environment(environment_spec(f"tests.engines.robots:{robot}"))


def line_of(robot: str, method: str) -> int:
    return inspect.getsourcelines(getattr(getattr(robots, robot), method))[1]


WRONG = [
    # A robot, the method at fault, the step, and what is said.
    ("NoBattery", "step", 2, "has the keys ['place'], but its space has ['battery', 'place']"),
    ("NanBattery", "step", 2, "the observation['battery'][0] is nan"),
    ("HalfBattery", "step", 2, "['battery'][0] is 0.5, and int64 numbers are whole"),
    ("TextBattery", "reset", 0, "the observation['battery'] is 'full' of type <U4"),
    ("WideBattery", "step", 2, "the observation['battery'] has shape (2,), but its space says"),
    ("LostPlace", "step", 2, "the observation['place'] is 7, which does not lie in Discrete(3)"),
    ("NanSpeed", "step", 2, "the observation[1] (wheel speed) is nan"),
    ("TextReward", "step", 1, "the reward is 'much', which is no number"),
    ("EndsPerhaps", "step", 1, "terminated is 'perhaps', which is neither true nor false"),
    ("ListInfo", "step", 1, "info is ['x'], which is no mapping"),
]  # fmt: skip


@pytest.mark.parametrize(("robot", "method", "step", "said"), WRONG)
def test_what_is_wrong_is_named_with_its_step_its_value_and_its_line(
    robot, method, step, said, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(ModelSpec, "load", lambda *given: pytest.fail("a model is loaded"))
    for roles in ({}, {"observe": "on"}):
        with pytest.raises(SpaceError) as error:
            train(experiment(robot, **roles), out=tmp_path / "run")
        problem = error.value.problem
        assert said in problem
        assert f"environment '{robot}-v0'" in problem
        assert f"episode 1, step {step}: " in problem
        at = next(kind for kind in getattr(robots, robot).__mro__ if method in vars(kind))
        assert f", from {method}() in line {line_of(at.__name__, method)} of {FILE}" in problem
        assert not (tmp_path / "run").exists()
        with pytest.raises(SpaceError, match=f"step {step}: "):
            check(experiment(robot, **roles))


def test_what_raises_is_named_with_the_line_that_did(tmp_path: Path) -> None:
    with pytest.raises(SpaceError) as error:
        train(experiment("Breaks"), out=tmp_path / "run")
    assert "raised ZeroDivisionError: division by zero, in line" in error.value.problem
    assert FILE in error.value.problem


def test_a_describer_that_fails_is_named_before_a_model_is_loaded(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(ModelSpec, "load", lambda *given: pytest.fail("a model is loaded"))
    own = {"describe": {"use": "tests.engines.robots:Mute"}, "observe": "on"}
    with pytest.raises(SpaceError, match="step 2: reading it raised KeyError: 'voice', in line"):
        train(experiment("Robot", **own), out=tmp_path / "run")


def test_bounds_that_nothing_minds_are_a_warning_and_else_an_error(
    tmp_path: Path, monkeypatch
) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")  # Gymnasium has a word of its own
        run = train(experiment("EmptyBattery"), out=tmp_path / "run")
    (said,) = (str(one.message) for one in told if issubclass(one.category, BoundsWarning))
    assert "step 2: the observation['battery'][0] is -3, outside its bounds 0 to 10" in said
    assert f"from step() in line {line_of('EmptyBattery', 'step')} of {FILE}" in said
    assert run.status == "finished"
    assert len(evaluate(run, 1).returns) == 1
    monkeypatch.setattr(ModelSpec, "load", lambda *given: pytest.fail("a model is loaded"))
    with pytest.raises(SpaceError, match="battery: value is -3, outside its bounds"):
        train(experiment("EmptyBattery", observe="on"), out=tmp_path / "other")


def test_a_setting_that_fits_no_observation_is_still_a_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="got 1 different action texts"):
        train(experiment("Robot", observe="on", describe={"actions": ["a"]}), out=tmp_path / "run")


def test_an_episode_without_end_is_left_after_its_steps_or_its_seconds(monkeypatch) -> None:
    made = []

    def make() -> gym.Env:
        made.append(maker("Endless")())
        return made[-1]

    env = make()
    monkeypatch.setattr(trial, "STEPS", 30)
    try_episode(make, MOMENTS, [])
    assert made[-1].unwrapped.steps == 30
    monkeypatch.setattr(trial, "SECONDS", 0.0)
    try_episode(make, MOMENTS, [])
    assert made[-1].unwrapped.steps == 0
    assert made[-1].unwrapped.is_closed
    env.close()


def test_it_draws_nothing_that_others_would_have_drawn() -> None:
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    wanted = random.random(), np.random.random(), torch.rand(1).item()  # noqa: NPY002
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    try_episode(
        lambda: make_environment(environment_spec("tests.engines.robots:Gambler")), MOMENTS, []
    )
    assert (random.random(), np.random.random(), torch.rand(1).item()) == wanted  # noqa: NPY002


def test_the_environment_s_own_warnings_come_once() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try_episode(
            lambda: make_environment(environment_spec("tests.engines.robots:Warns")), MOMENTS, []
        )


@pytest.mark.parametrize(
    ("space", "value"),
    [
        (gym.spaces.Box(0, 1, (2,)), np.float64([1 + 1e-7, 0])),
        (gym.spaces.Box(0, 9, (2,), np.int64), [3.0, 4.0]),
        (gym.spaces.Discrete(3), np.int64(2)),
        (gym.spaces.Tuple([gym.spaces.Discrete(2)]), (1,)),
        (gym.spaces.Text(4), "much longer than four"),
    ],
)
def test_what_fits_or_is_looked_at_elsewhere_is_taken(space, value) -> None:
    assert list(misfits(space, value)) == []


@pytest.mark.parametrize(
    ("space", "value", "said"),
    [
        (gym.spaces.Tuple([gym.spaces.Discrete(2)]), 1, "is 1, but its space has 1 parts"),
        (gym.spaces.Dict(a=gym.spaces.Discrete(2)), 1, "is 1, but its space has ['a']"),
        (gym.spaces.Box(0, 1, (2, 2)), np.eye(2) * 3, "[0, 0] is 3.0, outside its bounds 0 to 1"),
        (gym.spaces.Box(0, 1, ()), 3, "the observation is 3, outside its bounds 0 to 1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(space, value, said) -> None:
    assert said in next(misfits(space, value)).text
