from __future__ import annotations

import numpy as np
import pytest

from dragoman.models.cache import CachedModel
from dragoman.roles.explore.features import CLIP, Features
from dragoman.roles.observe.observer import Observer
from dragoman.roles.observe.settings import Observe
from dragoman.testing import ScriptedModel
from tests.counting_env import Counting
from tests.moments import moments

RANDOM = np.random.default_rng(0)
TABLE = {f"text {i}": RANDOM.normal(3.0, np.arange(1, 301), 300) for i in range(200)}


def wide_model() -> ScriptedModel:
    return ScriptedModel(TABLE.__getitem__, hidden_size=300)


def test_wide_states_are_standardised_and_projected_by_seed() -> None:
    texts = list(TABLE)
    features = Features(wide_model(), None, ("last",), 128, seed=1)
    assert features.size == 128
    features.learn(texts)
    result = features(texts)
    hidden = np.stack([TABLE[text] for text in texts])
    standard = np.clip((hidden - hidden.mean(0)) / hidden.std(0), -CLIP, CLIP) / np.sqrt(300)
    # Lengths and distances are those of the standardised states, up to the projection's error.
    lengths = np.linalg.norm(result, axis=1) / np.linalg.norm(standard, axis=1)
    assert lengths.min() > 0.8
    assert lengths.max() < 1.2
    distances = [np.linalg.norm(x[0] - x[1:], axis=1) for x in (result, standard)]
    assert np.abs(distances[0] / distances[1] - 1).max() < 0.25
    again = Features(wide_model(), None, ("last",), 128, seed=1)
    again.learn(texts)
    np.testing.assert_array_equal(again(texts), result)
    other = Features(wide_model(), None, ("last",), 128, seed=2)
    other.learn(texts)
    assert np.abs(other(texts) - result).max() > 0.1


def test_narrow_states_stay_as_they_are_but_for_their_length() -> None:
    model = ScriptedModel(lambda text: [len(text), 1.0])
    features = Features(model, None, ("last",), 128, seed=0)
    assert features.size == 2
    features.learn(["", "aa"])
    # Lengths 0 and 2, then 4: mean 2 and variance 8 / 3; the constant says nothing.
    expected = 2 / np.sqrt(8 / 3) / np.sqrt(2)
    np.testing.assert_allclose(features(["aaaa"]), [[expected, 0.0]], rtol=1e-6)


def test_what_the_observe_role_reads_is_not_computed_again() -> None:
    inner = ScriptedModel(lambda text: [len(text), 1.0])
    model = CachedModel(inner)
    observer = Observer(model, Observe(layer=1), Counting().observation_space)
    seen = moments(["one", "three"])
    observer(seen)
    calls = len(inner.calls)
    same = Features(model, 1, ("last", "mean"), 128, seed=0)
    same([moment.state for moment in seen])
    assert len(inner.calls) == calls
    other = Features(model, 2, ("last", "mean"), 128, seed=0)
    other([moment.state for moment in seen])
    assert len(inner.calls) == calls + 1


@pytest.mark.parametrize("saved", ["count", "mean", "squares"])
def test_the_moments_are_saved(saved: str) -> None:
    features = Features(wide_model(), None, ("last",), 128, seed=0)
    features.learn(list(TABLE)[:9])
    assert np.any(features.state()[saved] != 0)
