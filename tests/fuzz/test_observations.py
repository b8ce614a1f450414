"""Anything in place of an observation, a reward, a flag or an info: right, or one error of ours."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from hypothesis import strategies as st

from dragoman.describe import describe_env
from dragoman.environments.checks import Checked
from tests.fuzz.fuzzing import data, fuzzed, outcome
from tests.fuzz.spaces import Handing, any_space, boxes, simple

ODD = [np.nan, np.inf, np.array([1, 2]), np.array("text"), np.array([None]), object(), b"x", {1}]
strange = st.one_of(data, st.sampled_from(ODD), boxes().map(lambda box: box.sample()))


@fuzzed(space=any_space, value=st.one_of(strange, any_space.map(lambda space: space.sample())))
def test_any_value_is_described_or_refused(space: gym.Space, value: Any) -> None:
    described = outcome(describe_env, Handing(space, spaces.Discrete(2), ()))
    if isinstance(described, Exception):
        return
    assert outcome(described.observation, value, {})
    assert outcome(described.state_key, value) is not None
    assert outcome(described.action, value)


@fuzzed(step=st.tuples(strange, strange, strange, strange, strange), space=simple)
def test_whatever_a_step_hands_over_is_right_or_refused(step: Any, space: gym.Space) -> None:
    env = Checked(Handing(space, spaces.Discrete(2), step))
    outcome(env.reset)
    result = outcome(env.step, 0)
    if isinstance(result, tuple):
        assert isinstance(result[1], float | int)
        assert np.isfinite(result[1])
        assert isinstance(result[2], bool)
        assert isinstance(result[3], bool)
