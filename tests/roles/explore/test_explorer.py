"""Each method gets a learner without any reward to the far end, and a model of noise does not."""

from __future__ import annotations

import functools

import pytest

from dragoman.roles.explore.settings import Explore
from tests.exploring import Chain, KeyDoor, noisy_model, reading_model, visits

TASKS = [Chain, KeyDoor]


@functools.cache
def uniform(kind: type[Chain] | type[KeyDoor]) -> int:
    result = visits(kind, None)
    assert result > 0
    return result


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("method", ["e3b", "counts"])
def test_it_goes_where_uniform_play_hardly_comes(
    method: str, kind: type[Chain] | type[KeyDoor]
) -> None:
    assert visits(kind, Explore(method), reading_model()) >= 3 * uniform(kind)


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("method", ["e3b"])
def test_a_model_of_noise_leads_nowhere(method: str, kind: type[Chain] | type[KeyDoor]) -> None:
    assert visits(kind, Explore(method), noisy_model()) < 3 * uniform(kind)


@pytest.mark.parametrize("method", ["e3b", "counts"])
def test_the_placebo_leads_nowhere(method: str) -> None:
    explore = Explore(method, placebo="noise")
    assert visits(Chain, explore, reading_model()) < 3 * uniform(Chain)
