"""Each method gets a learner without any reward to the far end, and a model of noise does not."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from dragoman.models.cache import CachedModel
from dragoman.roles.explore import features
from dragoman.roles.explore.goal_settings import Goals
from dragoman.roles.explore.settings import Explore
from dragoman.testing import ScriptedModel
from tests.exploring import Chain, KeyDoor, goal_model, noisy_model, reading_model, visits

TASKS = [Chain, KeyDoor]


@functools.cache
def uniform(kind: type[Chain] | type[KeyDoor]) -> int:
    result = visits(kind, None)
    assert result > 0
    return result


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("method", ["e3b", "noveld", "rnd", "neighbours", "counts"])
def test_it_goes_where_uniform_play_hardly_comes(
    method: str, kind: type[Chain] | type[KeyDoor]
) -> None:
    assert visits(kind, Explore(method), reading_model()) >= 3 * uniform(kind)


@pytest.mark.parametrize(
    ("method", "kind"), [("e3b", KeyDoor), ("rnd", Chain), ("neighbours", Chain)]
)
def test_a_model_of_noise_leads_nowhere(
    method: str, kind: type[Chain] | type[KeyDoor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "REMEMBERED", 0)
    assert visits(kind, Explore(method), noisy_model()) < 3 * uniform(kind)


def test_noveld_explores_without_any_knowledge_of_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(features, "REMEMBERED", 0)
    # That it pays for the first visit in an episode alone is enough here, which names of states
    # decide. The control exact-counts is there to tell the two apart.
    assert visits(Chain, Explore("noveld"), noisy_model()) >= 3 * uniform(Chain)


@pytest.mark.parametrize("method", ["e3b", "noveld", "rnd", "neighbours", "counts"])
def test_the_placebo_leads_nowhere(method: str) -> None:
    explore = Explore(method, placebo="noise")
    assert visits(Chain, explore, reading_model()) < 3 * uniform(Chain)


GOALS = Explore("goals", goals=Goals(count=16, threshold=0.6))


@pytest.mark.parametrize("kind", TASKS)
def test_goals_on_the_way_lead_there(kind: type[Chain] | type[KeyDoor]) -> None:
    assert visits(kind, GOALS, goal_model()) >= 3 * uniform(kind)


def test_goals_of_noise_lead_nowhere() -> None:
    random = np.random.default_rng(0)
    noise = ScriptedModel(
        lambda text: random.normal(size=128), hidden_size=128, write=lambda *_: "fly\nswim\nsing"
    )
    explore = Explore("goals", goals=Goals(count=16))
    assert visits(Chain, explore, CachedModel(noise, budget_bytes=0)) < 3 * uniform(Chain)
