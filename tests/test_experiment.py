from __future__ import annotations

from pathlib import Path

import pytest

from dragoman.errors import ConfigError
from dragoman.experiment import Algorithm, Describe, Experiment, Model
from dragoman.roles.observe import Observe

FULL = Experiment(
    env="CartPole-v1",
    env_settings={"sutton_barto_reward": True},
    max_episode_steps=100,
    num_envs=3,
    steps=5,
    algorithm=Algorithm("dqn", {"learning_rate": 0.1}, (8,)),
    model=Model("gpt2", "bfloat16", weights="random", seed=3),
    describe=Describe(2, False, "x {cart_position}", ("left", "right"), exact=True),
    observe=Observe(4, ("mean",), True, False, 10, "embedding", 8, 32),
)


@pytest.mark.parametrize(
    "experiment", [FULL, Experiment(env="CartPole-v1"), Experiment(env="Ant-v5", observe=None)]
)
def test_yaml_in_and_out(experiment: Experiment, tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(experiment.to_yaml())
    assert Experiment.from_yaml(file) == experiment


def test_overrides_reach_into_the_file(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text("env: CartPole-v1\n")
    got = Experiment.from_yaml(file, {"steps": 7, "algorithm.settings.gamma": 0.5})
    assert (got.steps, got.algorithm.settings) == (7, {"gamma": 0.5})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"env": "X", "stesp": 3}, r"unknown key 'stesp' \(did you mean 'steps'\?\)"),
        (
            {"env": "X", "observe": {"poolng": ["last"]}},
            r"unknown key 'observe.poolng' \(did you mean 'pooling'\?\)",
        ),
        (
            {"env": "X", "observe": {"pooling": ["lst"]}},
            r"observe.pooling.0 is 'lst' \(did you mean 'last'\?\)",
        ),
        (
            {"env": "X", "algorithm": {"name": "PPO2"}},
            r"algorithm.name is 'PPO2' \(did you mean 'ppo'\?\)",
        ),
        ({"env": "X", "steps": "many"}, "steps is 'many'"),
        ({"env": "X", "steps": 0}, "steps is 0, but must be at least 1"),
        ({"env": "X", "num_envs": -1}, "num_envs is -1"),
        ({"env": "X", "observe": {"max_tokens": 0}}, r"observe.max_tokens is 0"),
        ({"env": "X", "observe": {"width": 0}}, r"observe.width is 0"),
        ({"steps": 3}, "the key 'env' is required"),
    ],
)
def test_bad_data_names_value_and_rule(data, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        Experiment.from_dict(data)
    assert error.value.cure


@pytest.mark.parametrize(
    ("text", "message"),
    [("- a\n- b\n", "holds list"), ("env: [", "not valid YAML")],
)
def test_bad_files_are_named(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message) as error:
        Experiment.from_yaml(file)
    assert str(file) in error.value.problem


def test_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match=r"no experiment file nowhere.yaml"):
        Experiment.from_yaml("nowhere.yaml")


def test_an_override_below_a_value_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text("env: CartPole-v1\nsteps: 4\n")
    with pytest.raises(ConfigError, match="'steps' is 4"):
        Experiment.from_yaml(file, {"steps.more": 1})


def test_replaced_values_leave_the_experiment_as_it_was() -> None:
    other = FULL.replaced({"observe.layer": 8, "algorithm.settings.gamma": 0.5, "model": {}})
    assert (other.observe.layer, other.model) == (8, Model())
    assert other.algorithm.settings == {"learning_rate": 0.1, "gamma": 0.5}
    assert FULL.algorithm.settings == {"learning_rate": 0.1}
    assert FULL.uses_model is False
    assert FULL.replaced({"observe.encoder": "model"}).uses_model
    with pytest.raises(ConfigError, match=r"unknown key 'observe.layr'"):
        FULL.replaced({"observe.layr": 1})
