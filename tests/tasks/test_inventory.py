from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from or_gymnasium.envs.inventory_management import InvManagementLostSalesEnv

import dragoman.tasks  # noqa: F401  (registers the environments)
from dragoman.errors import SpaceError
from dragoman.tasks.inventory import LEVELS, InventoryEnv, echelon_base_stock_to_the_end
from tests.tasks.episodes import play

ID = "dragoman/Inventory-v0"
FIVE = tuple(LEVELS)
RULES_TEXT = (
    "The retailer sells about 20 units a day for 2.00; the factory makes one for 0.50. "
    "The retailer is supplied by the warehouse, after 3 days and with at most 100 a day, and pays "
    "0.15 a day for a unit in stock; the warehouse is supplied by the factory, after 5 days and "
    "with at most 90 a day, and pays 0.10 a day for a unit in stock; the factory is supplied by "
    "its own production, after 10 days and with at most 80 a day, and pays 0.05 a day for a unit "
    "in stock. A unit asked for in vain costs up to 0.10, and every day profits count 3% less."
)


def make(**settings) -> gym.Env:
    return gym.make(ID, **settings)


def mean_profit(env, policy):
    profits = [sum(reward for _, reward, _ in play(env, policy, seed=seed)) for seed in range(30)]
    return np.mean(profits)


def demand_of(env: InventoryEnv, *wanted: int) -> None:
    """Let customers want what is given instead of what is drawn."""
    env.world.dist, env.world.demand_dist = 5, np.array(wanted)


def test_a_thousand_random_amounts_and_texts_that_map_back():
    env = make(actions="amounts")
    env.action_space.seed(1)
    observation, info = env.reset(seed=1)
    for _ in range(1000):
        assert env.observation_space.contains(observation)
        assert info["text"] == env.unwrapped.text()
        action = env.action_space.sample()
        text = env.unwrapped.action_text(action)
        assert env.action_space.contains(env.unwrapped.action_of(text))
        np.testing.assert_array_equal(env.unwrapped.action_of(text), action)
        observation, _, terminated, truncated, info = env.step(action)
        assert not truncated
        if terminated:
            assert env.unwrapped.day == 30
            observation, info = env.reset()


@pytest.mark.parametrize("levels", [("nothing", "the usual", "a lot"), FIVE])
def test_every_combination_of_levels_has_a_text_of_its_own(levels):
    env = make(levels=levels)
    _, info = env.reset(seed=0)
    assert len(set(info["action_texts"])) == len(levels) ** 3 == env.action_space.n
    assert info["action_mask"].tolist() == [1] * len(levels) ** 3
    assert info["action_texts"][1].endswith(
        "for the warehouse, 10 for the factory" if levels == FIVE else "20 for the factory"
    )


def test_the_dynamics_are_the_library_s():
    library, env = InvManagementLostSalesEnv(), make(actions="amounts")
    env.action_space.seed(3)
    library.reset(seed=3)
    env.reset(seed=3)
    for _ in range(30):
        action = env.action_space.sample()
        state, expected, _, over, _ = library.step(action)
        _, reward, terminated, truncated, _ = env.step(action)
        assert reward == expected
        assert env.unwrapped.stocks == state[:3].tolist()
        assert (terminated, truncated) == (over, False)


def test_two_days_by_hand():
    env = InventoryEnv(days=2, actions="amounts")
    env.reset(seed=0)
    demand_of(env, 30, 90)
    # 30 are sold for 2, 50 are made for 0.5, and 70, 60 and 150 stay: the warehouse sent 20 and
    # the factory 30. Nothing is asked for in vain, and what passes between stages cancels.
    _, reward, terminated, *_ = env.step(np.array([20, 10, 50]))
    stock = 70 * 0.15 + (100 - 20) * 0.10 + (200 - 10) * 0.05
    assert reward == pytest.approx(30 * 2 - 50 * 0.5 - stock)
    assert not terminated
    # 70 of 90 are sold, and the 20 in vain cost 0.1 each.
    _, reward, terminated, truncated, _ = env.step(np.array([0, 0, 0]))
    stock = (100 - 20) * 0.10 + (200 - 10) * 0.05
    assert reward == pytest.approx(0.97 * (70 * 2 - 20 * 0.1 - stock))
    assert (terminated, truncated) == (True, False)
    with pytest.raises(SpaceError, match="call reset"):
        env.step(np.array([0, 0, 0]))


def test_what_is_sent_arrives_after_its_lead_time():
    env = InventoryEnv(actions="amounts")
    observation, _ = env.reset(seed=0)
    demand_of(env, *[0] * 30)
    assert observation.tolist() == pytest.approx([0, 1, 1, 2, *[0] * 18])
    env.step(np.array([100, 0, 7]))
    assert env.arrivals() == [[0, 0, 100], [0] * 5, [0] * 9 + [7]]
    # The warehouse is empty now, so that what is asked of it is not sent.
    observation, *_ = env.step(np.array([60, 30, 0]))
    assert env.arrivals() == [[0, 100, 0], [0] * 4 + [30], [0] * 8 + [7, 0]]
    arriving = [0, 100, 0, *[0] * 4, 30, *[0] * 8, 7, 0]
    expected = [2 / 30, *np.divide([100, 0, 170, *arriving], 100)]
    assert observation.tolist() == pytest.approx(expected)
    env.step(np.zeros(3, dtype=int))
    assert env.stocks == [100, 0, 170]
    env.step(np.zeros(3, dtype=int))
    assert env.stocks == [200, 0, 170]


def test_the_text_of_a_seed():
    env = make(render_mode="ansi")
    env.reset(seed=0)
    assert env.render() == (
        f"Goal: earn the most in 30 days. {RULES_TEXT} Day 1 of 30. "
        "Stock on hand: retailer 100, warehouse 100, factory 200. On the way to the retailer: "
        "nothing. On the way to the warehouse: nothing. On the way to the factory: nothing."
    )
    for text in (
        "order 20 for the retailer, nothing for the warehouse, 40 for the factory",
        "order 40 for the retailer, 20 for the warehouse, nothing for the factory",
    ):
        env.step(env.unwrapped.action_of(text))
    assert env.render() == (
        f"Goal: earn the most in 30 days. {RULES_TEXT} Day 3 of 30. "
        "Stock on hand: retailer 69, warehouse 40, factory 180. On the way to the retailer: "
        "20 tomorrow, 40 in 2 days. On the way to the warehouse: 20 in 4 days. "
        "On the way to the factory: 40 in 8 days. "
        "Yesterday customers wanted 9 and got 9, and the profit was -5.2."
    )


def test_the_profits_that_are_documented():
    env, amounts = make(), make(actions="amounts")
    assert mean_profit(env, echelon_base_stock_to_the_end) == pytest.approx(517, abs=12)
    assert mean_profit(env, lambda env: env.action_space.sample()) == pytest.approx(221, abs=40)
    usual = env.unwrapped.action_for([20, 20, 20])
    assert mean_profit(env, lambda env: usual) == pytest.approx(396, abs=18)
    assert mean_profit(amounts, echelon_base_stock_to_the_end) == pytest.approx(524, abs=12)


def test_an_order_becomes_the_nearest_action():
    env = InventoryEnv(levels=FIVE)
    assert env.order_of(env.action_for([14, 15, 79])) == [10, 10, 80]
    assert env.order_of(env.action_for([75, 66, 31])) == [100, 90, 40]
    amounts = InventoryEnv(actions="amounts")
    assert amounts.action_for([14.6, -3, 200]).tolist() == [15, 0, 80]


@pytest.mark.parametrize(
    "text",
    [
        "order 020 for the retailer, nothing for the warehouse, nothing for the factory",
        "order 0 for the retailer, nothing for the warehouse, nothing for the factory",
        "order 101 for the retailer, nothing for the warehouse, nothing for the factory",
        f"order {10**30} for the retailer, nothing for the warehouse, nothing for the factory",
        "order nothing",
        "",
    ],
)
@pytest.mark.parametrize("actions", ["levels", "amounts"])
def test_no_other_text_is_an_order(text, actions):
    with pytest.raises(SpaceError, match="no action reads"):
        InventoryEnv(actions=actions).action_of(text)


def test_orders_outside_the_space_are_refused():
    with pytest.raises(SpaceError, match="outside 0 to 26"):
        InventoryEnv().order_of(27)
    with pytest.raises(SpaceError, match=r"up to \[100, 90, 80\]"):
        InventoryEnv(actions="amounts").order_of(np.array([0, 91, 0]))


def test_the_picture_grows_by_a_column_a_day():
    env = make(render_mode="rgb_array")
    env.reset(seed=0)
    inked = []
    for action in (13, 13):
        frame = env.render()
        assert (frame.shape, frame.dtype) == ((256, 256, 3), np.uint8)
        inked.append((frame != 255).any(axis=(0, 2)).sum())
        env.step(action)
    assert inked == pytest.approx([256 / 31, 2 * 256 / 31], abs=1)
