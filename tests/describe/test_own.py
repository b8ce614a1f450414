"""Describers of a user's own: named by file, or given from Python."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import pytest

import dragoman
from dragoman.describe.own import describer_for
from dragoman.engines.train import train
from dragoman.errors import ConfigError, SpaceError
from dragoman.experiment import Describe, Experiment
from dragoman.run import Run
from dragoman.run.trust import code_of
from dragoman.testing import ScriptedModel

SHORT = {
    "env": "CartPole-v1",
    "steps": 16,
    "num_envs": 2,
    "algorithm": {"settings": {"n_steps": 8, "batch_size": 8, "n_epochs": 1}},
}
CODE = """
class Sides:
    def observation(self, observation, info):
        return "it leans right" if observation[2] > 0 else "it leans left"

    def action(self, action):
        return ("go left", "go right")[action]


class OfEnv(Sides):
    def __init__(self, env):
        self.count = env.single_action_space.n if hasattr(env, "num_envs") else env.action_space.n


def make():
    return Sides()


class Two(Sides):
    def __init__(self, one, other):
        pass


class Mute:
    def action(self, action):
        return "a"


class Number(Sides):
    def observation(self, observation, info):
        return 3


ready = Sides()
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "mine.py").write_text(CODE)
    monkeypatch.setenv("DRAGOMAN_DATA", str(tmp_path / "data"))
    return str(tmp_path / "mine.py")


@pytest.mark.parametrize("name", ["Sides", "OfEnv", "make", "ready"])
def test_a_describer_is_a_class_a_function_or_an_object(name: str, file: str) -> None:
    env = gym.make("CartPole-v1")
    describer = describer_for(env, f"{file}:{name}")
    assert describer.observation(env.reset(seed=0)[0], {}).startswith("it leans")


@pytest.mark.parametrize(
    ("name", "problem"),
    [("Two", "needs one, other"), ("Mute", "has no method observation"), ("None", "there is no")],
)
def test_what_describes_nothing_is_refused(name: str, problem: str, file: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        describer_for(gym.make("CartPole-v1"), f"{file}:{name}")


def short(**describe: object) -> Experiment:
    return Experiment.from_dict({**SHORT, "describe": describe})


def model() -> ScriptedModel:
    return ScriptedModel(lambda text: [float(text.count("right"))])


@pytest.mark.parametrize("history", [0, 2])
def test_an_experiment_reads_by_the_describer_that_it_names(
    history: int, file: str, tmp_path: Path
) -> None:
    reader = model()
    experiment = short(use=f"{file}:Sides", history=history)
    run = train(experiment, out=tmp_path / "run", model=reader)
    assert all("it leans" in text for call in reader.calls for text in call)
    assert not any("cart position" in text for call in reader.calls for text in call)
    assert Run(run.path).experiment.describe.use == f"{file}:Sides"
    assert len(dragoman.evaluate(run, 1, model=model()).episodes) == 1


def test_playing_a_run_with_a_describer_needs_the_users_word(file: str, tmp_path: Path) -> None:
    experiment = short(use=f"{file}:Sides")
    assert f"the describer {file}:Sides" in code_of(experiment)
    run = train(experiment, out=tmp_path / "run", model=model())
    Path(file).write_text(CODE + "\n# changed")
    with pytest.raises(ConfigError, match="would run the describer"):
        dragoman.evaluate(run, 1, model=model())
    assert dragoman.evaluate(run, 1, model=model(), trust_code=True).episodes


class Upright:
    def observation(self, observation, info):
        return f"upright {abs(observation[2]) < 0.1}"

    def action(self, action):
        return f"push {action}"


def test_a_describer_from_python_is_given_again_to_play(tmp_path: Path) -> None:
    reader = model()
    run = train(short(history=1), out=tmp_path / "run", model=reader, describer=Upright())
    assert all("upright" in text for call in reader.calls for text in call)
    assert run.environment["describer"] == "Upright"
    with pytest.raises(ConfigError, match="was trained with Upright, from Python"):
        dragoman.evaluate(run, 1, model=model())
    assert dragoman.evaluate(run, 1, model=model(), describer=Upright()).episodes


def test_a_path_from_python_is_named_by_the_run(file: str, tmp_path: Path) -> None:
    run = train(short(), out=tmp_path / "run", model=model(), describer=f"{file}:make")
    assert run.experiment.describe.use == f"{file}:make"
    with pytest.raises(ConfigError, match="names its own"):
        dragoman.evaluate(run, 1, model=model(), describer=Upright())


def test_what_is_no_text_is_named(file: str, tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"Number.observation\(\) returns 3, no text"):
        train(short(use=f"{file}:Number"), out=tmp_path / "run", model=model())


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"use": "mine"}, "which names no describer"),
        ({"use": "a:b", "precision": 2}, "describe.precision is 2, but the describer a:b"),
        ({"use": "a:b", "actions": ["x"]}, "describe.actions is"),
    ],
)
def test_settings_that_exclude_each_other(settings: dict, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        Describe(**settings)
