from __future__ import annotations

import numpy as np
import pytest

from dragoman.errors import SpaceError
from dragoman.roles.act.levels import Levels


def test_the_mean_of_each_action_is_over_the_states_in_which_it_is_valid() -> None:
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(50, 4)).astype(np.float32)
    valid = generator.random((50, 4)) < 0.5
    options = [dict.fromkeys(np.flatnonzero(row).tolist(), "text") for row in valid]
    whole, parts = Levels(4), Levels(4)
    seen = whole(scores, options)
    for start in range(0, 50, 7):
        parts(scores[start : start + 7], options[start : start + 7])
    mean = np.where(valid, scores, 0).sum(0) / valid.sum(0)
    np.testing.assert_allclose(whole.mean, mean, atol=1e-6)
    np.testing.assert_allclose(parts.mean, mean, atol=1e-6)
    assert parts.met.tolist() == valid.sum(0).tolist()
    np.testing.assert_allclose(seen, np.where(valid, scores - mean, 0), atol=1e-6)


def test_nothing_is_learnt_once_it_is_off_nor_of_an_action_that_was_never_valid() -> None:
    levels = Levels(2)
    assert levels(np.array([[4.0, 9.0]], np.float32), [{0: "go"}]).tolist() == [[0.0, 0.0]]
    levels.learning = False
    assert levels(np.array([[6.0, 9.0]], np.float32), [{0: "go", 1: "stay"}]).tolist() == [[2, 9]]
    assert (levels.met.tolist(), levels.mean.tolist()) == ([1, 0], [4.0, 0.0])


def test_what_was_learnt_is_restored_for_as_many_actions() -> None:
    levels = Levels(2)
    levels(np.array([[4.0, 9.0]], np.float32), [{0: "go", 1: "stay"}])
    again = Levels(2)
    again.load_state(levels.state())
    assert again.mean.tolist() == [4.0, 9.0]
    with pytest.raises(SpaceError, match="of 2 actions, there are 3 here"):
        Levels(3).load_state(levels.state())
