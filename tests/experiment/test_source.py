from __future__ import annotations

from pathlib import Path

import gymnasium
import pytest
from gymnasium.envs.classic_control import CartPoleEnv

from dragoman.errors import ConfigError
from dragoman.experiment import Describe, Experiment
from dragoman.experiment.source import (
    STARTER,
    first_comment,
    name_of,
    read_experiment,
    recipe_files,
)
from dragoman.imports import import_name
from dragoman.run import Run, RunWriter

EXPERIMENT = Experiment.from_dict({"env": "CartPole-v1", "observe": None, "steps": 64})


def test_an_experiment_is_named_in_five_ways(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(EXPERIMENT.to_yaml())
    for source in (EXPERIMENT, EXPERIMENT.to_dict(), str(file), file):
        assert read_experiment(source) == EXPERIMENT
    assert read_experiment(EXPERIMENT, {"steps": 8}).steps == 8
    assert read_experiment(file, {"steps": 8}).steps == 8
    assert read_experiment("recipe:frozenlake").env == "FrozenLake-v1"


@pytest.mark.parametrize("env", ["CartPole-v1", "my_env.py:MyEnv", "package.module:MyEnv"])
def test_an_environment_alone_is_trained_with_the_settings_of_a_starter(env: str) -> None:
    assert read_experiment(env) == Experiment.from_dict({"env": env, **STARTER})


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (
            "recipe:frozenlak",
            "there is no recipe 'frozenlak' (did you mean 'frozenlake' or 'open-lake'?)",
        ),
        ("missing.yaml", "there is no experiment file missing.yaml"),
    ],
)
def test_what_is_not_there_is_an_error(source: str, problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_experiment(source)
    assert error.value.problem == problem


def test_every_recipe_reads_and_says_in_its_first_line_what_it_is() -> None:
    assert {"frozenlake", "tasks/cvrp", "comparisons/frozenlake"} <= set(recipe_files())
    for name, file in recipe_files().items():
        assert len(first_comment(file)) > 20, name


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("recipe:tasks/cvrp", "tasks-cvrp"),
        ("folder/mine.yaml", "mine"),
        ("ALE/Pong-v5", "ALE-Pong-v5"),
        ("my_env.py:MyEnv", "my_env.py-MyEnv"),
    ],
)
def test_a_folder_is_called_after_its_source(source: str, name: str) -> None:
    assert name_of(source) == name


def test_a_run_and_a_class_name_an_experiment(tmp_path: Path) -> None:
    experiment = Experiment("Acrobot-v1", steps=99, algorithm="ppo", observe=None)
    with RunWriter(tmp_path / "run", experiment, 0, {}):
        pass
    assert read_experiment(Run(tmp_path / "run")) == experiment
    assert read_experiment(tmp_path / "run") == experiment
    assert read_experiment(str(tmp_path / "run"), {"steps": 5}).steps == 5
    (tmp_path / "mine.py").write_text("import gymnasium\nclass Mine(gymnasium.Env): pass\n")
    mine = import_name(f"{tmp_path}/mine.py:Mine")
    assert read_experiment(mine).env == f"{tmp_path}/mine.py:Mine"
    assert read_experiment(gymnasium.spec("CartPole-v1")).env == "CartPole-v1"
    assert read_experiment(CartPoleEnv).env.endswith("cartpole:CartPoleEnv")


def test_a_describer_of_one_s_own_replaces_how_the_starter_writes_numbers() -> None:
    own = read_experiment("CartPole-v1", {"describe.use": "my.py:Mine"})
    assert own.describe == Describe(use="my.py:Mine")
    with pytest.raises(ConfigError, match=r"describe\.precision is 2, but the describer"):
        read_experiment("CartPole-v1", {"describe.use": "my.py:Mine", "describe.precision": 2})
