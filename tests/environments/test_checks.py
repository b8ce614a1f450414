from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.passive_env_checker import env_step_passive_checker
from gymnasium.wrappers import PassiveEnvChecker

from dragoman.agents.evaluate import evaluate_random
from dragoman.engines.train import train
from dragoman.environments import QuietReset, environment_spec, make_environment
from dragoman.environments.checks import FirstSteps
from dragoman.environments.vector import make_vector
from dragoman.errors import SpaceError
from dragoman.experiment import Algorithm, Experiment
from dragoman.run import Run
from tests.faulty_env import RIGHT, WRONG

FAULTY = "tests.faulty_env:Faulty"
BEGIN = "environment 'Faulty-v0', sub-environment "


# In the first step Gymnasium's own check is on too.
@pytest.mark.parametrize(("episode", "at"), [(1, 1), (2, 3)])
@pytest.mark.parametrize("what", WRONG)
def test_the_first_wrong_number_is_named_with_its_place(what: str, episode: int, at: int) -> None:
    settings = {"what": what, "episode": episode, "at": at}
    env = make_environment(environment_spec(FAULTY), settings, index=4)
    for _ in range(episode - 1):
        env.reset(seed=0)
        for _ in range(5):
            env.step(0)
    env.reset(seed=0)
    for _ in range(at - 1):
        env.step(0)
    with pytest.raises(SpaceError) as error:
        env.step(0)
    assert error.value.problem.startswith(f"{BEGIN}4, episode {episode}, step {at}: ")
    assert WRONG[what][1] in error.value.problem


@pytest.mark.parametrize("what", ["observation nan", "info none"])
def test_a_reset_is_checked_too(what: str) -> None:
    env = make_environment(environment_spec(FAULTY), {"what": what, "at": 0})
    env.reset(seed=0)
    with pytest.raises(SpaceError, match="episode 2, step 0: "):
        env.reset()


@pytest.mark.parametrize("what", RIGHT)
def test_what_is_a_number_is_taken(what: str) -> None:
    envs = make_vector(environment_spec(FAULTY), 2, {"what": what})
    envs.reset(seed=0)
    for _ in range(10):
        _, rewards, terminations, _, _ = envs.step(np.zeros(2, np.int64))
        assert rewards.tolist() == [1.0, 1.0]
        assert not terminations.any()
    envs.close()


@pytest.mark.parametrize("what", ["observation nan", "reward inf", "reward two objectives"])
@pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
def test_a_training_fails_at_the_first(what: str, algorithm: str, tmp_path: Path) -> None:
    settings = {"n_steps": 4, "batch_size": 8} if algorithm == "ppo" else {"learning_starts": 2}
    experiment = Experiment(
        env=FAULTY,
        env_settings={"what": what},
        steps=200,
        num_envs=2,
        observe=None,
        algorithm=Algorithm(algorithm, settings, (8,)),
    )
    with pytest.raises(SpaceError) as error:
        train(experiment, out=tmp_path / "run")
    assert error.value.problem.startswith(f"{BEGIN}0, episode 2, step 3: ")
    run = Run(tmp_path / "run")
    assert run.status == "failed"
    assert all(np.isfinite(tensor).all() for tensor in run.weights().values())


def test_an_evaluation_fails_at_the_first() -> None:
    experiment = Experiment(env=FAULTY, env_settings={"what": "reward text", "episode": 1})
    with pytest.raises(SpaceError, match="sub-environment 0, episode 1, step 3: the reward is"):
        evaluate_random(experiment, 2)


def test_gymnasium_s_own_check_still_looks_at_the_first_steps() -> None:
    class Outside(gym.Env):
        observation_space = gym.spaces.Box(0, 1, (1,), np.float32)
        action_space = gym.spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            return np.zeros(1, np.float32), {}

        def step(self, action):
            return np.full(1, 2, np.float32), 0.0, False, False, {}

    env = make_environment(gym.envs.registration.EnvSpec("Outside-v0", entry_point=Outside))
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="not within the observation space"):
        env.step(0)


def wrapped(**settings):
    """An entry point that brings a wrapper of its own, as many do."""
    env = make_environment(environment_spec("tests.faulty_env:Faulty"), settings).unwrapped
    return gym.wrappers.OrderEnforcing(env)


def test_wrappers_of_an_entry_point_leave_the_checks_and_ours_in_place() -> None:
    spec = gym.envs.registration.EnvSpec("Wrapped-v0", entry_point=wrapped)
    ours = gym.envs.registration.WrapperSpec("Quiet", "dragoman.environments:QuietReset", {})
    spec.additional_wrappers = (ours,)
    env = make_environment(spec, {"what": "reward nan", "episode": 1})
    assert isinstance(env, QuietReset)
    env.reset(seed=0)
    env.step(0)
    env.step(0)
    with pytest.raises(SpaceError, match=r"environment .Wrapped-v0.*the reward is nan"):
        env.step(0)


def test_gymnasiums_own_check_is_out_of_the_way_once_it_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def is_done(env: FirstSteps, steps: int) -> bool:
        env.reset(seed=0)
        for _ in range(steps):
            env.step(0)
        return "step" in vars(env)

    env = FirstSteps(gym.make("CartPole-v1").unwrapped)
    assert is_done(env, 2)

    def step(self: FirstSteps, action: int) -> object:
        self.checked_step = True
        return env_step_passive_checker(self.env, action)

    # As in 1.2, which looks at one step and knows nothing of a second.
    monkeypatch.setattr(PassiveEnvChecker, "step", step)
    env = FirstSteps(gym.make("CartPole-v1").unwrapped)
    vars(env).pop("checked_data_reuse", None)
    assert is_done(env, 1)


def test_gymnasiums_check_of_the_order_is_out_of_the_way_after_a_first_episode_began() -> None:
    with pytest.raises(gym.error.ResetNeeded):
        make_environment(environment_spec("CartPole-v1")).step(0)
    order = env = make_environment(environment_spec("CartPole-v1"))
    while not isinstance(order, gym.wrappers.OrderEnforcing):
        order = order.env
    env.reset(seed=0)
    env.step(0)
    assert "step" not in vars(order)
    env.step(0)
    assert vars(order)["step"] == order.env.step
    assert env.step(0)[0].shape == (4,)
