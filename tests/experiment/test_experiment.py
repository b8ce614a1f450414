from __future__ import annotations

import math
from pathlib import Path

import pytest

from dragoman.comparison.comparison import Comparison
from dragoman.errors import ConfigError
from dragoman.experiment import Algorithm, Describe, Experiment
from dragoman.models.spec import ModelSpec
from dragoman.roles.observe.settings import Observe
from dragoman.yaml12 import YesNo, load

FULL = Experiment(
    env="CartPole-v1",
    env_settings={"sutton_barto_reward": True},
    max_episode_steps=100,
    num_envs=3,
    steps=5,
    algorithm=Algorithm("dqn", {"learning_rate": 0.1}, (8,)),
    model=ModelSpec("gpt2", "bfloat16", weights="random", seed=3),
    describe=Describe(2, False, "x {cart_position}", ("left", "right"), exact=True),
    observe=Observe(4, ("mean",), True, False, 10, ModelSpec("words")),
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
            r"algorithm.name is 'PPO2' \(did you mean 'ppo' or 'appo'\?\)",
        ),
        ({"env": "X", "steps": "many"}, "steps is 'many'"),
        ({"env": "X", "steps": 0}, "steps is 0, but must be at least 1"),
        ({"env": "X", "num_envs": -1}, "num_envs is -1"),
        ({"env": "X", "observe": {"encoder": "embedding"}}, r"observe.encoder is 'embedding', but"),
        ({"env": "X", "act": {"encoder": "embedding"}}, r"act.encoder is 'embedding', but"),
        (
            {"env": "X", "observe": {"model": {"nme": "a"}}},
            r"unknown key 'observe.model.nme' \(did",
        ),
        ({"steps": 3}, "the key 'env' is required"),
        ({"env": "X", "env_settings": {"a": YesNo("no")}}, "env_settings.a is no"),
        (
            {"env": "X", "algorithm": {"settings": {"a": YesNo("on")}}},
            r"algorithm.settings.a is on",
        ),
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
    assert (other.observe.layer, other.model) == (8, ModelSpec())
    assert other.algorithm.settings == {"learning_rate": 0.1, "gamma": 0.5}
    assert FULL.algorithm.settings == {"learning_rate": 0.1}
    assert FULL.uses_model is False
    assert FULL.replaced({"observe.model": None}).uses_model
    with pytest.raises(ConfigError, match=r"unknown key 'observe.layr'"):
        FULL.replaced({"observe.layr": 1})


def test_a_name_alone_is_a_model_with_defaults() -> None:
    named = {"env": "X", "model": "gpt2", "observe": {"model": "words"}}
    result = Experiment.from_dict(named)
    assert result.model == ModelSpec("gpt2")
    assert result.models == [ModelSpec("gpt2"), ModelSpec("words")]
    assert "server" not in result.to_yaml()
    assert "timeout" in result.replaced({"model.server": "http://127.0.0.1:1/v1"}).to_yaml()


def test_keys_of_the_old_table_of_tokens_are_dropped_where_no_table_was_asked() -> None:
    old = {"encoder": "model", "width": None, "max_tokens": 128}
    act = {"policy": "match", "encoder": "model", "max_tokens": 24}
    result = Experiment.from_dict({"env": "X", "observe": old, "act": act})
    assert result == Experiment.from_dict({"env": "X", "act": {"policy": "match"}})
    with pytest.raises(ConfigError) as error:
        Experiment.from_dict({"env": "X", "observe": {"encoder": "embedding"}})
    assert "'observe.model: words'" in error.value.cure


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("steps: 1e5", "steps", 100_000),
        ("steps: 1.0e5", "steps", 100_000),
        ("steps: 100_000", "steps", 100_000),
        ("algorithm: {settings: {ent_coef: 1e-2}}", "algorithm.settings.ent_coef", 0.01),
        ("collapse: {gradient: 1e1}", "collapse.gradient", 10.0),
        ("observe: {pooling: mean}", "observe.pooling", ["mean"]),
        ("act: {policy: match, pooling: last}", "act.pooling", ["last"]),
        ("algorithm: {network: 64}", "algorithm.network", [64]),
        ("describe: {actions: [yes, no]}", "describe.actions", ["yes", "no"]),
        ("describe: {actions: [off, on]}", "describe.actions", ["off", "on"]),
        ("describe: {goal: yes}", "describe.goal", "yes"),
        ("env_settings: {day: 2024-01-01}", "env_settings.day", "2024-01-01"),
        ("model: {disk_cache: yes}", "model.disk_cache", True),
        ("model: {disk_cache: off}", "model.disk_cache", False),
        ("observe: None", "observe", None),
        ("observe: off", "observe", None),
        ("observe: false", "observe", None),
        ("observe: on", "observe.layer", None),
        ("act: true", "act.policy", "head"),
        (
            "reward: {use: judge, question: 'Good?', answers: [no, yes]}",
            "reward.answers",
            ["no", "yes"],
        ),
        (
            "reward: {use: goal-similarity, goal: up, weight: {start: 1e0, end: 0, steps: 1e4}}",
            "reward.weight.steps",
            10_000,
        ),
    ],
)
def test_what_is_meant_is_read(text: str, key: str, value: object, tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(f"env: CartPole-v1\n{text}\n")
    experiment = Experiment.from_yaml(file)
    result = experiment.to_dict()
    for part in key.split("."):
        result = result[part]
    assert result == value
    assert type(result) is type(value)
    # And it stays so in the run folder.
    file.write_text(experiment.to_yaml())
    assert Experiment.from_yaml(file) == experiment


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("describe: {actions: [0, 1]}", 'put the text in quotation marks: "0"'),
        ("describe: {goal: true}", 'put the text in quotation marks: "true"'),
        ("describe: {observation: {pole_angle}}", "put the text in quotation marks"),
        ("describe: {actions: left}", r"write a list: \[left\]"),
    ],
)
def test_values_of_another_kind_have_a_cure(text: str, cure: str) -> None:
    with pytest.raises(ConfigError, match=cure):
        Experiment.from_dict({"env": "X", **load(text, "here")})


def test_infinity_and_nan_reach_the_run_folder(tmp_path: Path) -> None:
    settings = {"far": math.inf, "near": [-math.inf, {"not": math.nan}]}
    experiment = Experiment.from_dict(
        {
            "env": "X",
            "env_settings": settings,
            "algorithm": {"settings": settings},
            "reward": {"use": "a:b", **settings},
        }
    )
    file = tmp_path / "experiment.yaml"
    file.write_text(experiment.to_yaml())
    again = Experiment.from_yaml(file)
    wanted = repr(settings)
    assert repr(again.env_settings) == repr(again.algorithm.settings) == wanted
    assert repr(again.reward.terms["b"].settings) == wanted
    # What a comparison hands to its processes.
    comparison = Comparison.from_dict(
        {
            "name": "c",
            "base": experiment.to_dict(),
            "arms": {"a": {"overrides": {"env_settings": settings}}, "b": {"kind": "baseline"}},
            "seeds": [0],
            "evaluation": {"env_settings": settings},
        }
    )
    file.write_text(comparison.to_yaml())
    read = Comparison.from_yaml(file)
    assert repr(read.experiment("a").to_dict()["env_settings"]) == wanted
    assert repr(read.experiment("b").env_settings) == wanted
    assert repr(read.evaluation.env_settings) == wanted


def test_settings_that_no_file_can_hold_are_refused() -> None:
    with pytest.raises(ConfigError, match="what no file can hold"):
        Experiment("X", {"it": object()}).to_yaml()


def test_an_experiment_prints_as_yaml_that_reads_back(tmp_path: Path) -> None:
    experiment = Experiment("CartPole-v1", steps=1000, observe=Observe(layer=4))
    assert repr(experiment) == "env: CartPole-v1\nsteps: 1000\nobserve:\n  layer: 4\n"
    (tmp_path / "short.yaml").write_text(repr(experiment))
    assert Experiment.from_yaml(tmp_path / "short.yaml") == experiment
    for observe in (None, Observe()):
        other = Experiment("CartPole-v1", observe=observe, reward=None)
        (tmp_path / "short.yaml").write_text(repr(other))
        assert Experiment.from_yaml(tmp_path / "short.yaml") == other
    assert repr(Experiment("X", {"it": object()})) == "Experiment('X', ...)"
