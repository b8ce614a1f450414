from __future__ import annotations

import numpy as np
import pytest

from dragoman.comparison.scores import Scores, arm_statistics
from dragoman.errors import ConfigError


def test_scores_without_a_number_name_arm_and_seed() -> None:
    with pytest.raises(ConfigError, match=r"arm 'judge' has no finite score at seed 2: \[nan\]"):
        Scores.by_seed("judge", {0: 0.1, 1: 0.2, 2: np.nan})


def test_seeds_and_scores_must_fit() -> None:
    with pytest.raises(ConfigError, match="a seed twice"):
        Scores("judge", (1, 1), np.zeros(2))
    with pytest.raises(ConfigError, match="2 seeds and scores of shape"):
        Scores("judge", (1, 2), np.zeros(3))


def test_scores_are_read_in_the_order_of_the_seeds_named() -> None:
    scores = Scores.by_seed("judge", {3: 0.3, 1: 0.1, 2: 0.2})
    assert scores.at([1, 3]).tolist() == [[0.1], [0.3]]


def test_an_arm_is_paired_with_each_opponent() -> None:
    gain = {0: 1.0, 1: 2.0, 2: 3.0}
    arm, none = Scores.by_seed("arm", gain), Scores.by_seed("none", dict.fromkeys(gain, 0.0))
    worse = Scores.by_seed("worse", {0: -1.0, 1: 0.0, 2: 1.0, 7: 9.0})
    statistics = arm_statistics((arm, none, worse), resamples=200)
    assert (statistics.seeds, statistics.left_out, statistics.tasks) == ((0, 1, 2), (7,), 1)
    first, second = statistics.comparisons
    assert (first.against, first.difference.estimate, first.deviation) == ("none", 2.0, 1.0)
    assert (first.effect, second.effect) == (2.0, np.inf)
    assert [comparison.p_value for comparison in statistics.comparisons] == [1 / 8, 1 / 8]
    assert [comparison.adjusted for comparison in statistics.comparisons] == [1 / 4, 1 / 4]
    assert statistics.p_worse == 1.0
