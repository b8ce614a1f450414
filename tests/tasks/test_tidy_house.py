"""The tidy house: its rules, its words, and what its references earn."""

from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from dragoman.describe import describe_env
from dragoman.errors import SpaceError
from dragoman.tasks.household import HOME, OBJECTS, PLACES
from dragoman.tasks.masks import uniform
from dragoman.tasks.tidy_house import TidyHouse, oracle
from dragoman.testing import check_describer

ID = "dragoman/TidyHouse-v0"


def play(env, policy, *, seed=None):
    """Return the texts, the return and the last info of one episode."""
    text, info = env.reset(seed=seed)
    texts, total, done = [text], 0.0, False
    while not done:
        text, reward, terminated, truncated, info = env.step(policy(env))
        texts.append(text)
        total += reward
        done = terminated or truncated
    return texts, total, info


def returns(env, policy, episodes):
    env.reset(seed=0)
    env.action_space.seed(0)
    return np.array([play(env, policy)[1] for _ in range(episodes)])


def house(**settings):
    """Return an environment in a hand-made state: two objects in six places."""
    env = TidyHouse(num_objects=2, **settings)
    env.reset(seed=0)
    env.places = ("bookshelf", "fridge", "shoe rack", "toolbox", "toy chest", "wardrobe")
    env.floor = ["atlas", "raw chicken"]
    return env


def test_the_text_of_a_seed():
    env = gym.make(ID)
    texts, total, info = play(env, oracle, seed=0)
    places = (
        "Places: bathroom cabinet, desk drawer, garden shed, jewelry box, sewing basket, trash can."
    )
    task = "Task: tidy the house, put every object where it usually belongs."
    assert texts[0] == (
        f"{task} On the floor: charm bracelet, pitchfork, used tissue. {places} "
        "You hold: nothing. Put away: nothing."
    )
    assert texts[3] == (
        f"{task} On the floor: used tissue. {places} "
        "You hold: pitchfork. Put away: charm bracelet in jewelry box."
    )
    assert texts[-1] == (
        f"{task} On the floor: nothing. {places} You hold: nothing. Put away: charm bracelet in "
        "jewelry box, pitchfork in garden shed, used tissue in trash can."
    )
    assert total == 1.0
    assert info["success"]


def test_a_house_solved_by_hand():
    env = house(penalty=0.5)
    obeyed = []
    for command in (
        "take raw chicken",
        "put raw chicken in fridge",
        "take atlas",
        "put atlas in toolbox",
    ):
        _, reward, terminated, truncated, info = env.step(env.action_of(command))
        obeyed.append((reward, terminated, truncated, info["success"]))
    quiet = (0.0, False, False, False)
    assert obeyed == [quiet, (0.5, False, False, False), quiet, (-0.25, True, False, False)]
    assert not info["action_mask"].any()
    with pytest.raises(SpaceError, match="call reset"):
        env.step(0)


def test_the_final_reward_wants_every_object_right():
    for last, expected in (("bookshelf", 1.0), ("toolbox", 0.0)):
        env = house(reward="final")
        rewards = [
            env.step(env.action_of(command))[1]
            for command in (
                "take raw chicken",
                "put raw chicken in fridge",
                "take atlas",
                f"put atlas in {last}",
            )
        ]
        assert rewards == [0.0, 0.0, 0.0, expected]


def test_the_commands_follow_the_hand():
    env = house()
    assert env.action_text(1) == "take raw chicken"
    _, _, _, _, info = env.step(0)
    assert [text for text in info["action_texts"] if text] == [
        f"put atlas in {place}" for place in env.places
    ]
    assert info["action_texts"][2 + PLACES.index("fridge")] == "put atlas in fridge"


def test_an_inadmissible_action_changes_nothing():
    env = house()
    before = env.text()
    text, reward, terminated, truncated, info = env.step(env.num_objects + PLACES.index("fridge"))
    assert (text, reward, terminated, truncated) == (before, 0.0, False, False)
    assert info["action_mask"].sum() == 2


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_house_has_the_right_place_of_each_of_its_objects(split):
    env = TidyHouse(num_objects=5, split=split)
    objects = {name for names in OBJECTS[split].values() for name in names}
    for seed in range(200):
        env.reset(seed=seed)
        assert len(set(env.floor)) == 5
        assert set(env.floor) <= objects
        assert {HOME[name] for name in env.floor} <= set(env.places)
        assert len(set(env.places)) == 6
    # Sorted, so that neither order tells where something belongs.
    assert env.floor == sorted(env.floor)
    assert list(env.places) == sorted(env.places)


@pytest.mark.parametrize("reward", ["dense", "final"])
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_the_oracle_earns_one(split, reward):
    env = gym.make(ID, split=split, reward=reward, num_objects=4)
    np.testing.assert_allclose(returns(env, oracle, 50), 1.0)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 1 / 6),
        ({"num_places": 17}, 1 / 17),
        ({"penalty": 0.5}, 1 / 6 - 0.5 * 5 / 6),
        ({"reward": "final", "num_objects": 2}, 1 / 36),
    ],
)
def test_uniform_play_earns_its_closed_form(settings, expected):
    earned = returns(gym.make(ID, **settings), uniform, 3000)
    error = earned.std() / np.sqrt(len(earned))
    assert abs(earned.mean() - expected) < 4 * error
    assert 4 * error < 0.03


def test_time_runs_out_as_a_truncation():
    env = gym.make(ID)
    env.reset(seed=0)
    held_nothing = env.unwrapped.num_objects
    ends = [env.step(held_nothing)[2:4] for _ in range(40)]
    assert ends == [(False, False)] * 39 + [(False, True)]


def test_describers_and_vectors_take_it_as_it_is():
    env = gym.make(ID)
    check_describer(describe_env(env), env)
    vector = SyncVectorEnv([lambda: gym.make(ID)] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    texts, infos = vector.reset(seed=0)
    assert texts[0] == env.reset(seed=0)[0]
    assert infos["action_mask"].shape == (2, 20)
    assert infos["action_texts"][0][:1] == ["take charm bracelet"]


def test_a_frame_shows_where_things_are():
    env = gym.make(ID, render_mode="rgb_array", num_objects=10)
    env.reset(seed=0)
    frames = [env.render()]
    for _ in range(20):
        env.step(oracle(env))
        frames.append(env.render())
    assert {(frame.shape, frame.dtype.name) for frame in frames} == {((240, 320, 3), "uint8")}

    def shown(frame, zone):
        """Return whether anything but the background is seen in a zone."""
        return bool((frame[zone] != frame[zone.start, 0]).any())

    hand, floor = slice(160, 172), slice(205, 217)
    assert [shown(frame, hand) for frame in frames] == [False, True] * 10 + [False]
    assert [shown(frame, floor) for frame in frames] == [True] * 19 + [False] * 2
    for before, after in pairwise(frames):
        is_put = shown(before, hand)
        assert (before[:150] != after[:150]).any() == is_put
