from __future__ import annotations

import numpy as np
import pytest

from dragoman.roles.explore.e3b import E3B, RIDGE
from dragoman.roles.explore.states import States


def states(features: np.ndarray) -> States:
    return States(np.zeros(len(features), np.int64), features.astype(np.float32))


def test_the_bonus_is_that_of_a_direct_inverse_over_a_long_episode() -> None:
    random, size = np.random.default_rng(0), 16
    method, matrices = E3B(3, size), np.tile(RIDGE * np.eye(size), (3, 1, 1))
    start = random.normal(size=(3, size)).astype(np.float32).astype(np.float64)
    method.begin(np.arange(3), states(start))
    for i in range(3):
        matrices[i] += np.outer(start[i], start[i])
    for step in range(600):
        # Not all copies take part in each step, and one begins anew.
        envs = np.flatnonzero(random.random(3) < 0.7)
        phi = random.normal(size=(len(envs), size)).astype(np.float32).astype(np.float64)
        expected = [p @ np.linalg.inv(matrices[i]) @ p for i, p in zip(envs, phi, strict=True)]
        np.testing.assert_allclose(method.bonus(envs, states(phi)), expected, rtol=1e-7)
        for i, p in zip(envs, phi, strict=True):
            matrices[i] += np.outer(p, p)
        if step == 300:
            method.begin(np.array([1]), states(start[1:2]))
            matrices[1] = RIDGE * np.eye(size) + np.outer(start[1], start[1])


def test_one_hot_features_give_one_over_ridge_plus_visits() -> None:
    method, here = E3B(1, 4), np.eye(4)
    method.begin(np.array([0]), states(here[:1]))
    for visits in range(1, 5):
        bonus = method.bonus(np.array([0]), states(here[:1]))
        assert bonus[0] == pytest.approx(1 / (RIDGE + visits))
    assert method.bonus(np.array([0]), states(here[3:]))[0] == pytest.approx(1 / RIDGE)
