from __future__ import annotations

import itertools
import re

import gymnasium as gym
import numpy as np
import pytest

import dragoman.tasks  # noqa: F401  (registers the environments)
from dragoman.errors import SpaceError
from dragoman.tasks import masks
from dragoman.tasks.routing import savings, savings_routes
from tests.tasks.episodes import play

TEXT_SEED_7 = (
    "Goal: serve every stop and return to the depot, driving as little as possible. "
    "A delivery truck is at the depot with 20 of 20 boxes left. "
    "2 stops still wait. "
    "Stop 1 needs 1 box, 67 km south 15 km east (69 km away). "
    "Stop 2 needs 5 boxes, 2 km south 32 km west (33 km away)."
)


def make(**settings) -> gym.Env:
    return gym.make("dragoman/CVRP-v0", **settings)


def placed(places, demands, **settings) -> gym.Env:
    """Return an environment whose instance is given: places in km, demands without the depot."""
    env = make(stops=len(demands), **settings)
    env.reset(seed=0)
    routing = env.unwrapped
    routing.places = np.array(places, dtype=float)
    routing.demands = np.array([0, *demands])
    routing.wanted = routing.demands.copy()
    return env


def drive(env: gym.Env, policy) -> list[int]:
    over = False
    while not over:
        *_, over, _, _ = env.step(policy(env))
    return env.unwrapped.visited


@pytest.mark.parametrize("policy", [savings, masks.uniform])
def test_longest_episodes_stay_below_the_limit(policy):
    # Every stop fills the truck, so every one is a trip of its own.
    env = make(stops=100, capacity=1, most_boxes=1)
    assert len(play(env, policy, seed=0)) == 1 + 200


def test_savings_by_hand():
    # Joining the far two saves 40 km, any other pair 20; the load serves two stops.
    env = placed([[0, 0], [20, 0], [10, 0], [30, 0]], [10, 10, 10])
    assert sorted(map(sorted, savings_routes(env.unwrapped))) == [[1, 3], [2]]
    drive(env, savings)
    assert env.unwrapped.distance == 60 + 20


@pytest.mark.parametrize("corners", [*itertools.permutations([[10, 0], [10, 10], [0, 10]])])
def test_savings_finds_the_way_round_a_square_whatever_the_order(corners):
    # Joins at either end of either route.
    env = placed([[0, 0], *corners], [1, 1, 1])
    drive(env, savings)
    assert env.unwrapped.distance == 40


def test_savings_routes_fit_and_serve_every_stop_once():
    env = make(stops=20)
    for seed in range(20):
        env.reset(seed=seed)
        routes = savings_routes(env.unwrapped)
        assert sorted(itertools.chain(*routes)) == list(range(1, 21))
        assert all(env.unwrapped.demands[route].sum() <= 20 for route in routes)


def test_savings_goes_on_after_a_detour():
    env = make()
    for seed in range(30):
        env.action_space.seed(seed)
        env.reset(seed=seed)
        for _ in range(4):
            env.step(masks.uniform(env))
        drive(env, savings)
        assert not env.unwrapped.wanted.any()


def test_averages_are_those_documented():
    kilometres = []
    for policy in (savings, masks.uniform):
        episodes = [play(make(), policy, seed=seed) for seed in range(60)]
        kilometres.append(np.mean([episode[-1][2]["distance"] for episode in episodes]))
    assert kilometres == [pytest.approx(461, abs=35), pytest.approx(740, abs=50)]


@pytest.mark.parametrize("reward", ["dense", "final"])
def test_rewards_sum_to_minus_distance_over_side(reward):
    steps = play(make(reward=reward, side=50), savings, seed=5)
    assert sum(step[1] for step in steps) == pytest.approx(-steps[-1][2]["distance"] / 50)
    assert (reward == "final") == all(step[1] == 0 for step in steps[:-1])


def test_text_far_and_near():
    env = placed([[0, 0], [30, 40], [30.2, 40.2], [30, 0]], [1, 2, 3], render_mode="ansi")
    env.step(1)
    assert env.render() == (
        "Goal: serve every stop and return to the depot, driving as little as possible. "
        "A delivery truck is at stop 1 with 19 of 20 boxes left. "
        "2 stops still wait. "
        "Stop 2 needs 2 boxes, less than 1 km away. "
        "Stop 3 needs 3 boxes, 40 km south (40 km away). "
        "The depot is 40 km south 30 km west (50 km away)."
    )


def test_text_under_a_seed():
    env = make(stops=2, render_mode="ansi")
    env.reset(seed=7)
    first = env.render()
    _, info = env.reset(seed=7)
    assert env.render() == first == info["text"] == TEXT_SEED_7
    *_, info = env.step(1)
    assert info["text"] == env.render() != first


def test_text_names_every_allowed_stop():
    env = make()
    env.action_space.seed(0)
    _, info = env.reset(seed=0)
    for _ in range(500):
        text = env.unwrapped.text()
        named = {int(stop) for stop in re.findall(r"Stop (\d+) needs", text)}
        assert set(np.flatnonzero(info["action_mask"][1:]) + 1) <= named
        assert named == set(np.flatnonzero(env.unwrapped.wanted))
        _, _, over, _, info = env.step(masks.uniform(env))
        if over:
            _, info = env.reset()


def test_observation_by_hand():
    env = placed([[0, 50], [100, 0]], [5])
    observation, *_ = env.step(1)
    np.testing.assert_allclose(observation, [1, 0, 0.75, 0, 0.5, 0, 1, 0, 0])


def test_picture():
    env = placed([[0, 0], [100, 100]], [5], render_mode="rgb_array")
    before = env.render()
    env.step(1)
    frame = env.render()
    assert frame.dtype == np.uint8
    assert frame.shape == (256, 256, 3)
    # North is up: the depot lies at the bottom left, the stop at the top right.
    assert (frame[243, 13] == 0).all()
    assert (before[13, 243] != [255, 255, 255]).any()
    assert (frame[13, 243] == 150).all(), "a served stop turns grey"
    assert (before[128, 128] == 255).all()
    assert (frame[128, 127:130] == 150).all(axis=-1).any(), "the way is drawn"


def test_what_is_not_allowed():
    env = placed([[0, 0], [10, 0], [20, 0]], [15, 15], when_masked="refuse").unwrapped
    assert env.action_masks().tolist() == [0, 1, 1]
    assert env.action_masks().dtype == np.int8
    with pytest.raises(SpaceError, match="action 0 is not allowed now"):
        env.step(0)
    env.step(1)
    assert env.action_masks().tolist() == [1, 0, 0], "5 boxes left are too few for stop 2"
    env.step(0)
    assert env.action_masks().tolist() == [0, 0, 1]
    env.step(2)
    *_, terminated, truncated, _ = env.step(0)
    assert (terminated, truncated) == (True, False)
    with pytest.raises(SpaceError, match="call reset"):
        env.step(0)


def test_described_drives_say_how_far_and_for_what():
    env = placed([[0, 0], [3, 4], [0, 30], [0, 1]], [1, 2, 20], actions="described")
    before = env.unwrapped._info()["action_texts"]
    assert before == [
        "",
        "drive to stop 1, 5 km, 1 box",
        "drive to stop 2, 30 km, 2 boxes",
        "drive to stop 3, 1 km, 20 boxes",
    ]
    *_, info = env.step(1)
    assert info["action_texts"] == [
        "return to the depot, 5 km",
        "",
        "drive to stop 2, 26 km, 2 boxes",
        "",  # the load no longer serves it
    ]
