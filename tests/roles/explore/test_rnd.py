from __future__ import annotations

import numpy as np
import pytest
import torch

from dragoman.roles.explore.rnd import RND, ROWS, SHARE
from dragoman.roles.explore.states import States

SIZE = 8
HERE = np.array([0])


def state(place: int) -> States:
    features = np.eye(SIZE, dtype=np.float32)[[place]]
    return States(np.array([place]), features)


def both(*places: int) -> States:
    return States(np.array(places), np.eye(SIZE, dtype=np.float32)[list(places)])


def test_novelty_is_the_distance_of_two_networks_that_a_seed_draws() -> None:
    before = torch.random.get_rng_state()
    method, again = RND(1, SIZE, 3, difference=False), RND(1, SIZE, 3, difference=False)
    assert torch.equal(torch.random.get_rng_state(), before)
    features = np.random.default_rng(0).normal(size=(5, SIZE)).astype(np.float32)
    inputs = torch.from_numpy(features) * SIZE**0.5
    errors = (method.predictor(inputs) - method.target(inputs)).detach().numpy()
    expected = [sum(error**2) ** 0.5 for error in errors]
    np.testing.assert_allclose(method.novelty(features), expected, rtol=1e-5)
    np.testing.assert_array_equal(method.novelty(features), again.novelty(features))
    other = RND(1, SIZE, 4, difference=False)
    assert np.abs(other.novelty(features) - method.novelty(features)).max() > 0.01


def test_what_is_visited_becomes_known_and_the_target_stays() -> None:
    method = RND(1, SIZE, 0, difference=False)
    saved = method.state()["target.0.weight"].copy()
    method.begin(HERE, state(0))
    known, new = method.novelty(both(1, 2).features)
    for _ in range(40 * ROWS):
        method.bonus(HERE, state(1))
    after = method.novelty(both(1, 2).features)
    assert after[0] < 0.2 * known
    assert after[1] > 2 * after[0]
    assert after[1] > 0.3 * new
    np.testing.assert_array_equal(method.state()["target.0.weight"], saved)


def test_noveld_pays_each_step_its_own_difference_and_once_an_episode() -> None:
    method, envs = RND(2, SIZE, 0, difference=True), np.arange(2)
    method.begin(envs, both(0, 1))
    novelty = method.novelty(np.eye(SIZE, dtype=np.float32))
    bonus = method.bonus(envs, both(2, 3))
    expected = [max(novelty[2] - SHARE * novelty[0], 0), max(novelty[3] - SHARE * novelty[1], 0)]
    np.testing.assert_allclose(bonus, expected, rtol=1e-5)
    # Back where the episodes have been: nothing, and in a new episode it is new again.
    assert method.bonus(envs, both(0, 3)).tolist() == [0.0, 0.0]
    method.begin(HERE, state(4))
    paid = method.bonus(envs, both(2, 2))
    expected = [max(novelty[2] - SHARE * novelty[i], 0) for i in (4, 3)]
    np.testing.assert_allclose(paid, expected, rtol=1e-5)


def test_a_fall_of_novelty_pays_nothing_while_another_copy_is_paid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    method = RND(2, SIZE, 0, difference=True)
    method.begin(np.arange(2), both(0, 1))
    # Of the states reached, then of those left: one falls by more than half, one rises.
    monkeypatch.setattr(method, "novelty", lambda features: np.array([1.0, 5.0, 4.0, 2.0]))
    assert method.bonus(np.arange(2), both(2, 3)).tolist() == [0.0, 4.0]
