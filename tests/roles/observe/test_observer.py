from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from dragoman.describe.moment import Moment
from dragoman.errors import ConfigError, SpaceError
from dragoman.roles.observe.observer import CLIP, Observer
from dragoman.roles.observe.settings import Observe
from dragoman.testing import ScriptedModel
from tests.moments import moments


class NumberDescriber:
    def observation(self, observation, info):
        return f"{observation[0]:g}"

    def action(self, action):
        return f"action {action}"


SPACE = gym.spaces.Box(-100, 100, (2,), np.float32)


def make(settings: Observe, space: gym.Space = SPACE) -> Observer:
    model = ScriptedModel(lambda text: [float(text), 2 * float(text)], hidden_size=2)
    return Observer(model, settings, space)


def rows(*values: float) -> list[Moment]:
    observations = [np.array([value, -value], np.float32) for value in values]
    return moments(observations, describer=NumberDescriber())


def test_features_are_the_models_answer() -> None:
    observer = make(Observe(pooling=("last",), standardise=False))
    np.testing.assert_array_equal(observer(rows(1, 3)), [[1, 2], [3, 6]])


def test_raw_observation_stands_beside_the_features() -> None:
    observer = make(Observe(pooling=("last",), raw=True, standardise=False))
    np.testing.assert_array_equal(observer(rows(1, 3)), [[1, 2, 1, -1], [3, 6, 3, -3]])
    assert observer.feature_space.shape == (4,)


def test_raw_needs_what_can_be_read() -> None:
    with pytest.raises(ConfigError, match=r"reads raw observations, but .* holds neither"):
        make(Observe(raw=True), gym.spaces.Space())


def test_standardised_by_hand() -> None:
    observer = make(Observe(pooling=("last",)))
    got = observer(rows(1, 3))
    np.testing.assert_allclose(got, [[-1, -1], [1, 1]], rtol=1e-6)
    assert observer.feature_space.contains(got[0])
    assert observer.feature_space.high[0] == CLIP


def test_statistics_stand_still_in_evaluation_and_after_freezing() -> None:
    observer = make(Observe(pooling=("last",), freeze_after=3))
    observer(rows(1, 3))
    observer.learning = False
    observer(rows(100))
    assert observer.moments.count == 2
    observer.learning = True
    observer(rows(5, 7))
    assert observer.moments.count == 4
    observer(rows(100))
    assert observer.moments.count == 4


def test_saved_state_gives_the_same_features() -> None:
    trained, loaded = make(Observe()), make(Observe())
    trained(rows(1, 3, 9))
    loaded.load_state(trained.state())
    trained.learning = loaded.learning = False
    np.testing.assert_array_equal(trained(rows(4)), loaded(rows(4)))


def test_statistics_of_another_model_are_refused() -> None:
    with pytest.raises(SpaceError, match=r"\(4,\)"):
        make(Observe()).load_state(make(Observe(pooling=("last",))).state())
