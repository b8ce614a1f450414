from __future__ import annotations

import re
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from dragoman.engines.sb3.algorithms import build
from dragoman.engines.sb3.settings import settings_of
from dragoman.engines.sb3.vec_env import VecAdapter
from dragoman.errors import ConfigError
from dragoman.experiment import Algorithm, Experiment
from tests.counting_env import Counting


def adapter(first: int = 2) -> VecAdapter:
    envs = [lambda: Counting(first), lambda: Counting(first + 1)]
    return VecAdapter(SyncVectorEnv(envs, autoreset_mode=AutoresetMode.SAME_STEP))


def test_ends_are_told_apart_and_carry_the_last_observation() -> None:
    env = adapter()
    np.testing.assert_array_equal(env.reset(), [[0], [0]])
    seen = []
    for _ in range(5):
        env.step_async(np.zeros(2, int))
        observations, rewards, dones, infos = env.step_wait()
        if dones[0]:
            info = infos[0]
            seen.append((info["terminal_observation"][0], info["TimeLimit.truncated"], rewards[0]))
            assert observations[0] == 0
    # Two steps and a terminal state, then three steps and a cut.
    assert seen == [(2.0, False, 2.0), (3.0, True, 3.0)]


def test_seeds_reach_every_environment_once() -> None:
    envs = [lambda: gym.make("CartPole-v1") for _ in range(2)]
    env = VecAdapter(SyncVectorEnv(envs, autoreset_mode=AutoresetMode.SAME_STEP))
    env.seed(5)
    first = env.reset()
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first, env.reset())
    env.seed(5)
    np.testing.assert_array_equal(first, env.reset())


def test_another_autoreset_mode_is_refused() -> None:
    with pytest.raises(ConfigError, match="mode NEXT_STEP"):
        VecAdapter(SyncVectorEnv([Counting]))


@pytest.mark.parametrize(
    ("name", "env_id", "message", "cure"),
    [
        (
            "dqn",
            "Pendulum-v1",
            "dqn cannot act in Box",
            "use a2c or ppo or recurrent-ppo or sac or td3",
        ),
        (
            "sac",
            "CartPole-v1",
            r"sac cannot act in Discrete\(2\)",
            "use a2c or dqn or ppo or recurrent-ppo",
        ),
        ("ppo", "Blackjack-v1", "cannot read Tuple", "observe role"),
    ],
)
def test_spaces_that_an_algorithm_cannot_serve(
    name: str, env_id: str, message: str, cure: str
) -> None:
    env = SyncVectorEnv([lambda: gym.make(env_id)], autoreset_mode=AutoresetMode.SAME_STEP)
    with pytest.raises(ConfigError, match=message) as error:
        build(Experiment(env=env_id, algorithm=Algorithm(name)), env, seed=0)
    assert cure in error.value.cure


def test_a_learning_rate_can_fall() -> None:
    settings = {"learning_rate": {"start": 0.1, "end": 0.0}, "n_steps": 8, "batch_size": 16}
    experiment = Experiment(env="CartPole-v1", algorithm=Algorithm("ppo", settings))
    algorithm = build(experiment, adapter().env, seed=0)
    assert [algorithm.lr_schedule(left) for left in (1.0, 0.5, 0.0)] == [0.1, 0.05, 0.0]


def test_refused_settings_name_them() -> None:
    experiment = Experiment(env="CartPole-v1", algorithm=Algorithm("ppo", {"learning_rte": 1}))
    with pytest.raises(ConfigError, match=r"ppo refuses the settings \{'learning_rte': 1\}"):
        build(experiment, adapter().env, seed=0)


def test_settings_become_what_the_constructor_declares() -> None:
    def fitted(name: str, **settings: Any) -> dict[str, Any]:
        return settings_of(Experiment(env="X", algorithm=Algorithm(name, settings)))

    result = fitted("ppo", gamma="0.99", n_steps=1e2, ent_coef=1e-2, target_kl=None)
    assert result == {"gamma": 0.99, "n_steps": 100, "ent_coef": 0.01, "target_kl": None}
    assert type(result["n_steps"]) is int
    assert fitted("sac", train_freq=[2, "episode"])["train_freq"] == (2, "episode")
    assert fitted("ppo", learning_rate={"start": "1e-3", "end": 0}) == {
        "learning_rate": {"start": 0.001, "end": 0.0}
    }
    for name, settings, message in [
        ("ppo", {"gamma": "much"}, "gamma is 'much'"),
        ("dqn", {"buffer_size": 0.5}, "buffer_size is 0.5"),
        ("ppo", {"learning-rate": 1}, "there is no 'learning-rate' (did you mean 'learning_rate'"),
        ("ppo", {"policy": "x"}, "there is no 'policy'"),
    ]:
        with pytest.raises(ConfigError, match=re.escape(message)):
            fitted(name, **settings)
