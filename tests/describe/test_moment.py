from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from dragoman.describe import describe_env
from dragoman.describe.history import Remember
from dragoman.describe.moment import MOMENT, MomentMaker, valid_actions
from dragoman.errors import ConfigError, SpaceError
from tests.counting_env import Counting
from tests.moments import Echo, moments
from tests.text_tasks import Lamps


def test_goal_past_and_observation_word_for_word() -> None:
    env = Remember(Lamps(length=9), steps=2, goal="press the right one")
    observation, info = env.reset(seed=0)
    first = describe_env(env).observation(observation, info)
    assert info[MOMENT].text == f"Goal: press the right one\nObservation: {first}"
    assert info[MOMENT].state == first
    seen = [first]
    done = []
    for _ in range(3):
        action = int(np.flatnonzero(info["action_mask"])[0])
        done.append(info["action_texts"][action])
        observation, _, _, _, info = env.step(action)
        seen.append(describe_env(env).observation(observation, info))
    # Two steps are remembered, of three.
    assert info[MOMENT].text == (
        f"Goal: press the right one\nObservation: {seen[1]}\nAction: {done[1]}\n"
        f"Observation: {seen[2]}\nAction: {done[2]}\nObservation: {seen[3]}"
    )


def test_the_valid_actions_stand_behind_the_present_observation_alone() -> None:
    env = Remember(Lamps(length=9), steps=1, list_actions=True)
    _, info = env.reset(seed=0)
    _, _, _, _, info = env.step(int(np.flatnonzero(info["action_mask"])[0]))
    valid = [text for text, ok in zip(info["action_texts"], info["action_mask"], strict=True) if ok]
    assert 0 < len(valid) < len(info["action_texts"])
    moment = info[MOMENT]
    assert moment.text.endswith(f"\nObservation: {moment.state}\nActions: {', '.join(valid)}")
    assert moment.text.count("Actions:") == 1
    (prompt,) = moments(["pole"], history=0, list_actions=True)
    assert prompt.text == "Observation: pole\nActions: action 0"


def test_actions_that_are_no_choice_are_not_listed() -> None:
    with pytest.raises(ConfigError, match=r"list_actions is set, but the actions are a Box space"):
        MomentMaker(Echo, gym.spaces.Box(-1, 1, (2,)), list_actions=True)


def test_without_goal_and_history_the_text_is_the_observation() -> None:
    (moment,) = moments(["pole"])
    assert moment.text == moment.state == "pole"
    (prompt,) = moments(["pole"], history=3)
    assert prompt.text == "Observation: pole"


def test_actions_are_named_by_the_environment_else_by_the_describer() -> None:
    env = gym.make("CartPole-v1")
    (named,) = moments([np.zeros(4)], [{"action_texts": ["west", "east"]}], env)
    assert list(named.action_texts) == ["west", "east"]
    assert named.action_text(1) == "east"
    (plain,) = moments([np.zeros(4)], None, env)
    assert plain.action_texts == ("push cart to the left", "push cart to the right")
    assert plain.action_text(1) == "push cart to the right"
    # A choice that starts elsewhere is called by its own numbers.
    make = MomentMaker(Echo, gym.spaces.Discrete(2, start=5))
    assert make(0, {}).action_texts == ("action 5", "action 6")
    with pytest.raises(SpaceError, match="has 3 texts for 2 actions"):
        _ = make(0, {"action_texts": ["a", "b", "c"]}).action_texts


def test_valid_actions_are_those_of_the_mask_else_those_with_a_text() -> None:
    assert valid_actions({}, 2).tolist() == [True, True]
    assert valid_actions({"action_texts": ["go", ""]}, 2).tolist() == [True, False]
    assert valid_actions({"action_texts": ["a", "b"], "action_mask": [0, 1]}, 2).tolist() == [
        False, True,
    ]  # fmt: skip
    with pytest.raises(SpaceError, match=r"'action_mask'\] has shape \(3,\), but there are 2"):
        valid_actions({"action_mask": [1, 1, 1]}, 2)


def test_keys_are_those_of_the_describer() -> None:
    env = gym.make("CartPole-v1")
    one, other, same = moments([np.zeros(4, np.float32), np.ones(4), np.zeros(4)], None, env)
    assert one.key == same.key != other.key
    (echo,) = moments(["pole"])
    with pytest.raises(SpaceError, match="Echo makes no exact keys"):
        _ = echo.key


def test_a_moment_is_not_described_unless_it_is_read_and_then_once() -> None:
    class Counted(Echo):
        calls = 0

        def observation(self, observation, info):
            Counted.calls += 1
            return super().observation(observation, info)

    make = MomentMaker(Counted, Counting(3).action_space)
    moment = make(1, {})
    assert Counted.calls == 0
    assert moment.text == moment.state == moment.prompt(()) == "1"
    assert Counted.calls == 1


def test_synonyms_stand_in_every_text() -> None:
    words = {"press": "push", "lamp": "light"}
    env = Remember(Lamps(length=9), steps=1, goal="press the right one", synonyms=words)
    observation, info = env.reset(seed=0)
    plain = describe_env(env).observation(observation, info)
    moment = info[MOMENT]
    assert moment.state == plain.replace("lamp", "light") != plain
    assert moment.text.startswith("Goal: push the right one\n")
    own = info["action_texts"]
    assert list(moment.action_texts) == [text.replace("press", "push") for text in own]
    action = int(np.flatnonzero(info["action_mask"])[0])
    assert moment.action_text(action) == moment.action_texts[action]
    after = env.step(action)[-1][MOMENT]
    assert after.past == ((moment.state, moment.action_texts[action]),)
    make = MomentMaker(lambda: describe_env(env), env.action_space, synonyms=words)
    assert make.action_names == tuple(map(make.reword, make.action_names))
