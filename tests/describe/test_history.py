from __future__ import annotations

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from dragoman.describe.history import Remember
from dragoman.describe.moment import MOMENT
from dragoman.environments.vector import split_infos
from tests.counting_env import Counting


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_the_past_ends_with_its_episode_in_every_mode(mode: AutoresetMode) -> None:
    first = (2, 3)
    env = SyncVectorEnv([lambda n=n: Remember(Counting(n), 8) for n in first], autoreset_mode=mode)
    _, infos = env.reset()
    counts = [0, 0]
    over = np.zeros(2, bool)
    ends = 0
    for _ in range(20):
        if mode == AutoresetMode.DISABLED and over.any():
            env.reset(options={"reset_mask": over})
        _, _, terminated, truncated, infos = env.step(np.zeros(2, int))
        was_over, over = over, terminated | truncated
        rows = split_infos(infos, 2)
        for i in range(2):
            same = mode == AutoresetMode.SAME_STEP
            if was_over[i] and mode == AutoresetMode.NEXT_STEP:
                counts[i] = -1
            elif was_over[i]:
                counts[i] = 0
            counts[i] += 1
            row = rows[i]["final_info"] if over[i] and same else rows[i]
            assert len(row[MOMENT].past) == min(counts[i], 8)
            # Each step of an episode is told once, in order, from its first observation.
            assert [text.split()[0] for text, _ in row[MOMENT].past] == [
                f"{n}" for n in range(counts[i])
            ][-8:]
            if over[i] and same:
                assert rows[i][MOMENT].past == ()
            ends += over[i]
    assert ends > 5
