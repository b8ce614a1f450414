from __future__ import annotations

import numpy as np
import pytest

from dragoman.roles.explore import neighbours
from dragoman.roles.explore.neighbours import (
    CLUSTER,
    EPSILON,
    NEAREST,
    OFFSET,
    Neighbours,
    bonus_of,
)
from dragoman.roles.explore.states import States


def states(features: np.ndarray) -> States:
    return States(np.zeros(len(features), np.int64), features.astype(np.float32))


def test_the_bonus_is_the_papers_over_an_episode() -> None:
    random, method, here = np.random.default_rng(0), Neighbours(2, 3), np.array([1])
    features = random.normal(size=(40, 3)).astype(np.float32)
    method.begin(np.arange(2), states(features[[0, 0]]))
    total, count = 0.0, 0
    for t in range(1, 40):
        squared = np.sort(((features[:t].astype(float) - features[t]) ** 2).sum(1))[:NEAREST]
        total, count = total + squared.sum(), count + len(squared)
        similarity = 0.0
        for d in squared / (total / count):
            similarity += EPSILON / (max(d - CLUSTER, 0.0) + EPSILON)
        expected = 1 / (similarity**0.5 + OFFSET)
        assert method.bonus(here, states(features[[t]]))[0] == pytest.approx(expected, rel=1e-4)
    assert method.state()["count"] == count
    assert method.state()["total"] == pytest.approx(total, rel=1e-5)


def test_the_kernel_is_cut_elementwise() -> None:
    # Were the maximum taken over all, the far one would not count as far.
    near_and_far = bonus_of(np.array([0.0, 5.0]))
    assert near_and_far == pytest.approx(1 / (np.sqrt(1 + EPSILON / 4.993) + OFFSET), rel=1e-3)
    assert bonus_of(np.array([CLUSTER / 2])) == bonus_of(np.zeros(1))


def test_an_episode_begins_without_the_states_of_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "REMEMBERED", 4)
    method, here = Neighbours(1, 2), np.array([0])
    first, other = np.array([[0.0, 0.0]]), np.array([[3.0, 0.0]])
    method.begin(here, states(first))
    new = method.bonus(here, states(other))[0]
    assert method.bonus(here, states(other))[0] < new / 5
    method.begin(here, states(first))
    assert method.bonus(here, states(other))[0] > 5
    # Of a long episode the last states are remembered, and the first one is new again.
    for step in range(1, 5):
        method.bonus(here, states(np.array([[9.0, step]])))
    assert method.bonus(here, states(first))[0] > 5
