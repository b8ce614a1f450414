"""What engines share of whole episodes."""

from __future__ import annotations

import numpy as np
import pytest

from dragoman.engines.episodes import earned, spread, start_seeds
from dragoman.experiment.credit import Credit
from dragoman.maths.credit import Play


def two_groups() -> Play:
    """Return a group that earned 0 and 10 in episodes of two steps and one, and one of 0 and 1."""
    return Play(
        rewards=np.array([0.0, 0.0, 10.0, 0.0, 1.0]),
        lengths=np.array([2, 1, 1, 1]),
        groups=np.array([0, 0, 1, 1]),
        states=np.zeros(5, np.int64),
        actions=np.zeros(5, np.int64),
        reached=np.full(4, -1),
    )


def test_an_update_learns_from_the_groups_that_are_kept_alone() -> None:
    every = earned(two_groups(), Credit("grpo", copies=2), gamma=1.0, lam=1.0)
    assert every.says.tolist() == [True] * 5
    assert "credit/filtered" not in every.columns
    most = earned(two_groups(), Credit("grpo", copies=2, keep=0.9), gamma=1.0, lam=1.0)
    assert most.says.tolist() == [True, True, True, False, False]
    assert most.columns["credit/filtered"] == 1
    np.testing.assert_array_equal(most.advantages, every.advantages)


def test_copies_of_a_group_begin_alike_and_groups_and_rounds_apart() -> None:
    first, later = start_seeds(2, 7, 0, range(4)), start_seeds(2, 7, 8, range(4))
    assert first[0] == first[1]
    assert first[2] == first[3]
    assert len({*first, *later}) == 4
    # Whichever process has them.
    assert start_seeds(2, 7, 0, [2, 3]) == first[2:]


@pytest.mark.parametrize("actions", [np.array([3, 5]), np.array([[3.0, 1.0], [5.0, 2.0]])])
def test_actions_go_to_the_copies_that_play(actions: np.ndarray) -> None:
    sent = spread(actions, np.array([1, 3]), 4)
    assert len(sent) == 4
    np.testing.assert_array_equal(sent[[1, 3]], actions)
