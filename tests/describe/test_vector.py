from __future__ import annotations

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from dragoman.describe.history import Remember
from dragoman.describe.moment import MOMENT, MomentMaker
from dragoman.describe.vector import MomentVector, now_and_reached
from tests.counting_env import Counting
from tests.moments import Echo

FIRST = (2, 3)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_moments_are_those_of_the_step_in_every_mode(mode: AutoresetMode) -> None:
    envs = SyncVectorEnv([lambda n=n: Counting(n) for n in FIRST], autoreset_mode=mode)
    env = MomentVector(envs, MomentMaker(Echo, envs.single_action_space))
    observations, infos = env.reset(seed=0)
    over = np.zeros(2, np.bool_)
    ends = 0
    for _ in range(20):
        for moment, row in zip(infos[MOMENT], observations, strict=True):
            if moment is not None:  # under DISABLED only what was reset says something
                np.testing.assert_array_equal(moment.observation, row)
        if mode == AutoresetMode.DISABLED and over.any():
            observations, infos = env.reset(options={"reset_mask": over.copy()})
            assert [moment is not None for moment in infos[MOMENT]] == over.tolist()
        observations, _, terminations, truncations, infos = env.step(np.zeros(2, int))
        over = terminations | truncations
        now, reached = now_and_reached(infos, over, mode)
        for i in range(2):
            is_new = bool(over[i]) and mode == AutoresetMode.SAME_STEP
            assert (now[i] is not reached[i]) == is_new
            if is_new:
                np.testing.assert_array_equal(reached[i].observation, infos["final_obs"][i])
                assert reached[i].info["episode"] + 1 == now[i].info["episode"]
            ends += over[i]
    assert ends > 5


def test_a_moment_that_is_there_stays() -> None:
    envs = SyncVectorEnv([lambda: Remember(Counting(3), 2)])
    env = MomentVector(envs, MomentMaker(Echo, envs.single_action_space))
    env.reset(seed=0)
    *_, infos = env.step(np.zeros(1, int))
    assert len(infos[MOMENT][0].past) == 1
