from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any

import gymnasium as gym
import pytest
from stable_baselines3 import DQN, PPO, SAC

from dragoman.engines.check import check
from dragoman.engines.engine import check_actions
from dragoman.engines.rllib import RLlib
from dragoman.engines.rllib.settings import (
    ACTION_SPACES,
    SETTINGS,
    SACSettings,
    Schedule,
    settings_of,
)
from dragoman.engines.sb3 import SB3
from dragoman.engines.sb3.settings import known_settings
from dragoman.errors import ConfigError
from dragoman.experiment import Algorithm, Experiment


def experiment(name: str = "ppo", **settings: Any) -> Experiment:
    return Experiment(
        env="CartPole-v1",
        steps=2048,
        num_envs=4,
        observe=None,
        algorithm=Algorithm(name, settings, (8,)),
    )


PARTS = ("policy_kwargs", "rllib")
THEIRS = {"appo": PPO, "ppo": PPO, "dqn": DQN, "sac": SAC}


@pytest.mark.parametrize("name", THEIRS)
def test_defaults_are_those_of_stable_baselines3(name: str) -> None:
    fitted_to_steps = {"n_steps", "batch_size", "buffer_size", "learning_starts"}
    fitted_to_steps |= {"target_update_interval"} if name == "dqn" else set()
    theirs = inspect.signature(THEIRS[name]).parameters
    for field in fields(SETTINGS[name]):
        if field.name not in (*PARTS, *fitted_to_steps):
            assert field.default == theirs[field.name].default, field.name


def test_exploration_falls_as_in_stable_baselines3() -> None:
    theirs = DQN("MlpPolicy", "CartPole-v1").exploration_schedule
    ours = settings_of(experiment("dqn"))
    for progress in (0.0, 0.03, 0.1, 0.5):
        assert ours.epsilon_at(progress) == pytest.approx(theirs(1 - progress))


@pytest.mark.parametrize(
    ("given", "temperature"),
    [("auto", (1.0, True)), ("auto_0.1", (0.1, True)), (0.2, (0.2, False))],
)
def test_entropy_is_worth_what_the_setting_says(given: Any, temperature: Any) -> None:
    found = SACSettings(ent_coef=given)
    assert found.temperature == temperature
    assert found.wanted_entropy(gym.spaces.Box(-1, 1, (2, 3))) == -6.0
    assert SACSettings(target_entropy=-1.5).wanted_entropy(gym.spaces.Box(-1, 1, (2,))) == -1.5


def test_a_rollout_fits_the_steps_as_with_stable_baselines3() -> None:
    ours = settings_of(experiment())
    assert (ours.n_steps, ours.batch_size) == (16, 64)


def test_values_are_read_as_stable_baselines3_reads_them() -> None:
    found = settings_of(experiment(n_steps=1e2, learning_rate="3e-3", clip_range_vf=None))
    assert (found.n_steps, found.learning_rate, found.clip_range_vf) == (100, 0.003, None)


def test_a_learning_rate_falls_to_where_it_ends() -> None:
    found = settings_of(experiment(learning_rate={"start": 1.0, "end": 0.0}))
    assert found.learning_rate == Schedule(1.0, 0.0)
    assert [found.rate_at(share) for share in (0.0, 0.25, 1.0, 2.0)] == [1.0, 0.75, 0.0, 0.0]
    early = Schedule(1.0, 0.5, end_fraction=0.5)
    assert [early.at(share) for share in (0.25, 0.5, 1.0)] == [0.75, 0.5, 0.5]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"use_sde": True}, "the engine rllib has no setting 'use_sde' of ppo; the engine sb3"),
        ({"n_step": 8}, r"no setting 'n_step' \(did you mean 'n_steps'"),
        ({"n_steps": "many"}, r"algorithm.settings.n_steps is 'many'"),
        ({"clip_range": None}, "algorithm.settings.clip_range is None"),
        ({"policy_kwargs": {"ortho_init": False}}, r"no setting 'policy_kwargs.ortho_init'"),
    ],
)
def test_what_cannot_be_translated_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        settings_of(experiment(**settings))


def test_each_engine_says_which_algorithms_it_has() -> None:
    with pytest.raises(ConfigError, match="the engine rllib has no a2c; it has"):
        check(experiment("a2c"), RLlib())


def test_stable_baselines3_says_what_it_has_not() -> None:
    with pytest.raises(ConfigError, match="the engine sb3 has no appo; it has"):
        check(experiment("appo"), SB3())


def test_what_rllib_alone_knows_is_no_fault_elsewhere() -> None:
    check(experiment(rllib={"rollout_fragment_length": 8}), SB3())
    assert "rllib" not in known_settings("ppo")
    assert known_settings("appo") == []


def test_actions_that_an_algorithm_cannot_choose_are_refused() -> None:
    with pytest.raises(ConfigError, match="ppo cannot act in Text"):
        check_actions("ppo", gym.spaces.Text(3), ACTION_SPACES)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"env_runners": -1}, "env_runners is -1"),
        ({"learners": -2}, "learners is -2"),
        ({"patience": 0}, "patience is 0"),
    ],
)
def test_an_engine_that_cannot_be_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        RLlib(**settings)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"guide": "mixture", "model": "gpt2", "algorithm": "appo"},
            "guide.use is 'mixture', but appo cuts the weights of steps off",
        ),
        (
            {"algorithm": {"name": "dqn", "demonstrations": "ways"}},
            "demonstrations is set, but the engine rllib has no place",
        ),
    ],
)
def test_what_only_the_other_engine_can_is_refused(changes: dict[str, Any], said: str) -> None:
    pytest.importorskip("ray", reason="needs the extra 'rllib'")
    with pytest.raises(ConfigError, match=said):
        check(experiment().replaced(changes), RLlib())
