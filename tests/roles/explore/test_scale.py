from __future__ import annotations

import numpy as np
import pytest

from dragoman.roles.explore.scale import DISCOUNT, LARGEST, ReturnScale


def test_the_scale_is_the_deviation_of_discounted_sums_that_no_end_resets() -> None:
    random = np.random.default_rng(0)
    bonuses = random.random((200, 3))
    scale, sums, seen = ReturnScale(3), np.zeros(3), []
    for bonus in bonuses:
        # Copies that have done nothing, as in the step of a reset, are left out of it.
        envs = np.flatnonzero(random.random(3) < 0.8)
        sums[envs] = DISCOUNT * sums[envs] + bonus[envs]
        seen += sums[envs].tolist()
        result = scale(envs, bonus[envs])
        deviation = np.std(seen)
        if deviation > 0:
            np.testing.assert_allclose(result, np.minimum(bonus[envs] / deviation, LARGEST))
    assert scale.deviation == pytest.approx(np.std(seen))
    # It knows nothing of episodes: nothing in its interface says that one has ended.
    assert max(seen) > 10


def test_nothing_is_paid_before_sums_differ() -> None:
    scale = ReturnScale(2)
    assert scale.deviation == 0.0
    assert scale(np.arange(2), np.array([3.0, 3.0])).tolist() == [0.0, 0.0]
    assert scale(np.arange(2), np.array([3.0, 3.0])).max() > 0


def test_a_bonus_far_beyond_all_others_is_cut() -> None:
    scale = ReturnScale(1)
    for bonus in [1.0, *[0.0] * 2000]:
        scale(np.zeros(1, np.int64), np.array([bonus]))
    assert scale(np.zeros(1, np.int64), np.array([1e9]))[0] == LARGEST
