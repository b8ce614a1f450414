"""Masks are read in every convention, in one place."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from dragoman.agents.evaluate import play
from dragoman.describe import describe_env, rollout
from dragoman.describe.masks import ReadMasks, without_mask
from dragoman.describe.rollout import random_actions
from dragoman.environments import environment_spec, make_environment
from dragoman.errors import SpaceError
from tests.masked_task import CONVENTIONS, COUNT


def made(name: str, **settings):
    return make_environment(environment_spec(f"tests.masked_task:{name}"), settings)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_every_convention_ends_in_the_info(name: str) -> None:
    env = made(name)
    env.action_space.seed(0)
    observation, info = env.reset(seed=0)
    for _ in range(5):
        mask = info["action_mask"]
        assert (mask.dtype, mask.shape) == (np.int8, (COUNT,))
        np.testing.assert_array_equal(mask, env.unwrapped.mask)
        assert env.observation_space.contains(observation)
        assert "action_mask" not in (observation if isinstance(observation, dict) else {})
        observation, *_, terminated, _, info = env.step(env.action_space.sample(mask))
    # Nobody acts in the last state, where nothing is valid.
    assert terminated
    assert not info["action_mask"].any()


@pytest.mark.parametrize("name", CONVENTIONS)
def test_the_random_policy_obeys_every_convention(name: str) -> None:
    spec = environment_spec(f"tests.masked_task:{name}")
    played = play(spec, {}, random_actions(made(name).action_space), episodes=20)
    assert all(episode.length == 5 for episode in played.episodes)


def test_a_mask_in_the_observation_is_no_feature() -> None:
    env = made("InObservation")
    text = describe_env(env).observation(*env.reset(seed=0))
    assert "mask" not in text
    assert "0.5" in text
    lines = list(rollout(env, describe_env(env), steps=7))
    assert not any("mask" in line for line in lines)
    kept = make_environment(environment_spec("tests.masked_task:InObservation", keep_mask=True))
    observation, info = kept.reset(seed=0)
    np.testing.assert_array_equal(observation["action_mask"], info["action_mask"])


def test_an_observation_of_nothing_but_a_mask_stays() -> None:
    space = gym.spaces.Dict(action_mask=gym.spaces.MultiBinary(3))
    assert without_mask(space) is space
    assert without_mask(gym.spaces.Discrete(3)) == gym.spaces.Discrete(3)


def test_what_says_nothing_is_left_alone() -> None:
    told = {"action_mask": None, "else": 1}

    class Plain(gym.Env):
        observation_space, action_space = gym.spaces.Discrete(3), gym.spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            return 0, told

        def step(self, action):
            return 1, 2.0, False, True, told

    env = ReadMasks(Plain())
    assert env.reset()[1] is told
    assert env.step(1) == (1, 2.0, False, True, told)
    assert env.step(1)[-1] is told


def play_to_the_end(env: gym.Env, steps: int):
    _, info = env.reset(seed=0)
    truncated = False
    for _ in range(steps):
        *_, truncated, info = env.step(env.action_space.sample(info["action_mask"]))
    return truncated, info


@pytest.mark.parametrize("at", [0, 3])
def test_nothing_admissible_in_the_middle_names_environment_and_step(at: int) -> None:
    env = made("Stuck", at=at)
    with pytest.raises(SpaceError, match=rf"Stuck-v0: no action is valid at step {at} of"):
        play_to_the_end(env, at)


def test_nothing_admissible_where_an_episode_is_cut_off_is_right() -> None:
    truncated, info = play_to_the_end(made("Stuck", at=3, cut=True), 3)
    assert truncated
    assert not info["action_mask"].any()


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("action_mask", r"has shape \(5,\) at step 2, but there are 4 actions"),
        ("action_texts", r"has 5 texts at step 2 for 4 actions"),
    ],
)
def test_a_set_of_actions_keeps_its_size(key: str, problem: str) -> None:
    env = made("Misfit", key=key)
    env.reset(seed=0)
    env.step(2)
    with pytest.raises(SpaceError, match=problem) as error:
        env.step(2)
    assert "each action" in error.value.cure


def test_blank_texts_and_arrays_of_texts_are_lists_of_plain_text() -> None:
    class Blank(gym.Env):
        observation_space, action_space = gym.spaces.Discrete(3), gym.spaces.Discrete(3)

        def reset(self, *, seed=None, options=None):
            return 0, {"action_texts": np.array(["go", "  ", None], dtype=object)}

    _, info = ReadMasks(Blank()).reset()
    assert info["action_texts"] == ["go", "", ""]
    assert info["action_mask"].tolist() == [1, 0, 0]
