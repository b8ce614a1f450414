from __future__ import annotations

import itertools

import gymnasium as gym
import numpy as np
import pytest
from or_gymnasium.envs.knapsack import BinaryKnapsackEnv

import dragoman.tasks  # noqa: F401  (registers the environments)
from dragoman.errors import SpaceError
from dragoman.tasks import masks
from dragoman.tasks.knapsack import KnapsackEnv, best_filling, exact
from tests.tasks.episodes import play

ID = "dragoman/Knapsack-v0"


def make(**settings) -> gym.Env:
    return gym.make(ID, **settings)


def packed_by(env, policy, seed):
    return sum(reward for _, reward, _ in play(env, policy, seed=seed))


def by_hand(weights, values, left=None, **settings) -> KnapsackEnv:
    """An empty knapsack of 100 kg before items that are given."""
    env = KnapsackEnv(len(weights), capacity=100, **settings)
    env.reset(seed=0)
    env.world.item_weights, env.world.item_values = np.array(weights), np.array(values)
    env.world.item_limits = np.array(left or [1] * len(weights))
    return env


def test_a_seed_draws_what_the_library_draws_when_it_draws():
    library, env = BinaryKnapsackEnv(), make(items=100)
    library.N, library.randomize_params_on_reset = 100, True
    library.reset(seed=5)
    env.reset(seed=5)
    np.testing.assert_array_equal(env.unwrapped.weights, library.item_weights)
    np.testing.assert_array_equal(env.unwrapped.values, library.item_values)
    for _ in range(3):
        item = masks.uniform(env)
        assert env.step(item)[1] == library.step(item)[1]
        assert env.unwrapped.free == 200 - library.current_weight


def test_three_items_by_hand():
    # The densest item, 60 for 51 kg, leaves room for neither of the others, worth 80 together.
    env = by_hand([51, 50, 50], [60, 40, 40])
    assert best_filling(env).tolist() == [0, 1, 1]
    assert exact(env) == 1
    _, reward, terminated, _, info = env.step(1)
    assert (reward, terminated) == (40, False)
    assert info["action_mask"].tolist() == [0, 0, 1]
    assert env.text() == (
        "Goal: pack items worth as much as possible. The knapsack holds 100 kg; 50 kg are free. "
        "The items in it are worth 40. Item 2: 50 kg, worth 40."
    )
    observation, reward, terminated, truncated, _ = env.step(2)
    assert (reward, terminated, truncated) == (40, True, False)
    assert env.text().endswith("0 kg are free. The items in it are worth 80. Nothing more fits.")
    columns = [0.51, 60 / 99, 1, 0.5, 40 / 99, 0, 0.5, 40 / 99, 0]
    assert observation.tolist() == pytest.approx([0, *columns])
    with pytest.raises(SpaceError, match="call reset"):
        env.step(0)


def test_an_episode_ends_when_nothing_fits_though_the_knapsack_is_not_full():
    env = by_hand([70, 40], [9, 9])
    assert env.step(0)[2]
    assert env.free == 30


def test_the_exact_rule_goes_on_with_what_is_worth_nothing():
    env = by_hand([10, 20, 90], [0, 5, 5])
    assert [exact(env), env.step(1)[2], exact(env)] == [1, False, 0]


@pytest.mark.parametrize("kind", ["binary", "bounded"])
def test_the_exact_rule_packs_what_trying_everything_finds(kind):
    env = make(items=5, capacity=120, kind=kind)
    for seed in range(20):
        env.reset(seed=seed)
        sack = env.unwrapped
        counts = np.array(list(itertools.product(*[range(left + 1) for left in sack.left])))
        best = (counts @ sack.values)[counts @ sack.weights <= 120].max()
        assert best_filling(sack) @ sack.values == best == packed_by(env, exact, seed)


def test_the_values_that_are_documented():
    env = make()
    means = [
        np.mean([packed_by(env, policy, seed) for seed in range(40)])
        for policy in (exact, masks.uniform)
    ]
    assert means == [pytest.approx(483, abs=35), pytest.approx(274, abs=35)]


def test_the_text_of_a_seed():
    env = make(items=3, kind="bounded", render_mode="ansi")
    env.reset(seed=0)
    assert env.render() == (
        "Goal: pack items worth as much as possible. The knapsack holds 200 kg; 200 kg are free. "
        "It is empty. Item 0: 85 kg, worth 26, 1 left. Item 1: 64 kg, worth 30, 1 left. "
        "Item 2: 51 kg, worth 4, 2 left."
    )


def test_items_that_do_not_fit():
    env = by_hand([99, 10, 20], [1, 1, 1])
    env.step(1)
    assert env.action_masks().tolist() == [0, 0, 1]
    env.step(0)  # the next allowed one
    assert env.packed == [1, 2]
    strict = by_hand([99, 10, 20], [1, 1, 1], when_masked="refuse")
    strict.step(1)
    with pytest.raises(SpaceError, match="action 0 is not allowed now"):
        strict.step(0)


def test_the_picture_is_as_full_as_the_knapsack():
    env = by_hand([30, 25, 99], [1, 1, 1], render_mode="rgb_array")
    assert (env.render() == 255).all()
    env.step(0)
    env.step(1)
    frame = env.render()
    assert (frame.shape, frame.dtype) == ((256, 256, 3), np.uint8)
    assert (frame != 255).any(axis=(1, 2)).mean() == pytest.approx(0.55, abs=0.01)
