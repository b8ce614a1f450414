from __future__ import annotations

import itertools

import gymnasium as gym
import numpy as np
import pytest

from dragoman.tasks.t_maze import CORRIDOR, JUNCTION, TMaze, oracle
from tests.tasks.episodes import play


@pytest.mark.parametrize("length", [0, 4])
def test_the_oracle_takes_the_shortest_way_to_the_treasure(length: int) -> None:
    env = gym.make("dragoman/TMaze-v0", length=length)
    for seed in range(10):
        steps = play(env, oracle, seed=seed)
        assert sum(reward for _, reward, _ in steps) == 1.0
        # The play begins with what the reset returned.
        assert len(steps) == 1 + length + 2


def test_only_the_start_tells_the_way() -> None:
    env = TMaze(length=2)
    shown = {}
    for seed in range(10):
        seen = [env.reset(seed=seed)[0]]
        seen += [env.step(0)[0] for _ in range(3)]
        shown[env.sign] = seen
    assert shown == {sign: [sign, CORRIDOR, CORRIDOR, JUNCTION] for sign in (0, 1)}


def test_nothing_without_a_memory_earns_more_than_half() -> None:
    # All policies of the present observation; what draws its actions is a mixture of these.
    env = TMaze(length=1)
    for policy in itertools.product(range(3), repeat=4):
        returns = []
        for sign in (0, 1):
            env.reset(seed=0)
            observation = env.sign = sign
            total, is_over, steps = 0.0, False, 0
            while not is_over and steps < 8:
                observation, reward, is_over, _, _ = env.step(policy[observation])
                total, steps = total + reward, steps + 1
            returns.append(total)
        assert np.mean(returns) <= 0.5


def test_walls_take_a_step_and_change_nothing() -> None:
    env = TMaze(length=1)
    observation, _ = env.reset(seed=0)
    assert env.step(1)[:3] == (observation, 0.0, False)
    assert env.step(0)[0] == CORRIDOR
    assert env.step(2)[:3] == (CORRIDOR, 0.0, False)
    assert env.step(0)[0] == JUNCTION
    assert env.step(0)[:3] == (JUNCTION, 0.0, False)
    assert env.step(1 + (1 - env.sign))[1:3] == (0.0, True)
