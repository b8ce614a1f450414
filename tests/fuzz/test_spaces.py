"""Any space: its values are described, always in the same words, or one error of ours."""

from __future__ import annotations

import gymnasium as gym
from hypothesis import strategies as st

from dragoman.describe import describe_env
from dragoman.describe.exact import exact_writer, key_writer
from tests.fuzz.fuzzing import fuzzed, outcome
from tests.fuzz.spaces import Handing, any_space


@fuzzed(space=any_space, actions=any_space, seed=st.integers(0, 2**31 - 1))
def test_any_space_is_described(space: gym.Space, actions: gym.Space, seed: int) -> None:
    described = outcome(describe_env, Handing(space, actions, ()))
    if isinstance(described, Exception):
        return
    said = []
    for _ in range(2):
        space.seed(seed)
        actions.seed(seed)
        value = space.sample()
        said.append((described.observation(value, {}), described.action(actions.sample())))
        assert described.state_key(value) == key_writer(space)(value)
        assert isinstance(exact_writer(space)(value), str)
    assert said[0] == said[1]
    assert all(text.strip() for text in said[0])
