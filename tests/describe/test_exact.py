from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.describe import describe_env
from dragoman.describe.exact import exact_writer, key_writer
from dragoman.errors import SpaceError
from tests.describe.test_spaces import anything

# Values so few that two samples are often equal, and so close that a rounded text would merge them.
CLOSE = np.nextafter(np.float32(0.1), np.float32(1))
FEW = [
    (
        spaces.Box(-1, 1, (2,), np.float32),
        [
            np.array(pair, np.float32)
            for pair in ([0.1, 0], [CLOSE, 0], [0.1, -0.0], [0, 0.1], [1e-30, 0])
        ],
    ),
    (spaces.Discrete(3, start=-1), [-1, 0, np.int64(0), 1]),
    (spaces.MultiDiscrete([12, 12]), [np.array(pair) for pair in ([1, 11], [11, 1], [1, 1])]),
    (spaces.MultiBinary(3), [np.array(bits, np.int8) for bits in ([0, 1, 1], [1, 1, 0])]),
    (spaces.Text(6), ["a", "a; b", '"', "ab"]),
    (
        spaces.Box(0, 255, (9, 9, 3), np.uint8),
        [
            np.zeros((9, 9, 3), np.uint8),
            np.eye(9, dtype=np.uint8)[:, :, None].repeat(3, 2),
        ],
    ),
]


@st.composite
def spaces_with_two_values(draw: st.DrawFn, depth: int = 2):
    """A space, two of its values, and whether these are equal."""
    kind = draw(st.sampled_from(["leaf", "tuple", "dict", "sequence"] if depth else ["leaf"]))
    if kind == "leaf":
        space, values = draw(st.sampled_from(FEW))
        one, other = (draw(st.sampled_from(values)) for _ in range(2))
        return space, one, other, np.array_equal(one, other)
    if kind == "sequence":
        leaf, values = draw(st.sampled_from(FEW))
        some = st.lists(st.sampled_from(values), max_size=3)
        one, other = tuple(draw(some)), tuple(draw(some))
        equal = len(one) == len(other) and all(map(np.array_equal, one, other))
        return spaces.Sequence(leaf), one, other, equal
    parts = draw(st.lists(spaces_with_two_values(depth - 1), min_size=1, max_size=3))
    inner, ones, others, equals = zip(*parts, strict=True)
    if kind == "tuple":
        return spaces.Tuple(inner), ones, others, all(equals)
    keys = "abc"[: len(parts)]
    return (
        spaces.Dict(dict(zip(keys, inner, strict=True))),
        dict(zip(keys, ones, strict=True)),
        # In another order, which is no difference.
        dict(reversed(list(zip(keys, others, strict=True)))),
        all(equals),
    )


@settings(max_examples=400, deadline=None)
@given(spaces_with_two_values())
def test_keys_and_exact_texts_are_equal_only_for_equal_values(case) -> None:
    space, one, other, equal = case
    for write in (key_writer(space), exact_writer(space)):
        assert (write(one) == write(other)) == equal


@settings(max_examples=100, deadline=None)
@given(anything, st.integers(0, 2**31 - 1))
def test_any_space_has_keys_that_do_not_depend_on_the_process(space: gym.Space, seed: int) -> None:
    keys = []
    for _ in range(2):
        space.seed(seed)
        keys.append(key_writer(space)(space.sample()))
    assert isinstance(keys[0], bytes)
    assert keys[0] == keys[1]


def test_a_key_is_the_same_in_every_type_that_holds_the_number() -> None:
    key = key_writer(spaces.Box(0, 1, (1,), np.float32))
    half = [np.array([0.5], kind) for kind in (np.float16, np.float32, np.float64)]
    assert len({key(value) for value in half}) == 1
    assert key(np.array([0.1], np.float32)) != key(np.array([0.1], np.float64))


@pytest.mark.parametrize("value", [[np.nan, 0], [0, 0, 0], ["a", "b"]])
def test_what_equals_nothing_has_no_key(value: list) -> None:
    with pytest.raises(SpaceError, match="but the space is Box"):
        key_writer(spaces.Box(-1, 1, (2,)))(np.array(value))


def test_parts_do_not_run_into_each_other() -> None:
    space = spaces.Tuple([spaces.Text(6), spaces.Text(6)])
    for write in (key_writer(space), exact_writer(space)):
        assert write(("a", "ba")) != write(("ab", "a"))


def test_unknown_spaces_are_named() -> None:
    class Odd(spaces.Space):
        pass

    with pytest.raises(SpaceError, match="Odd is not a space of Gymnasium's own kinds"):
        key_writer(Odd())


def test_exact_texts_tell_states_apart_that_rounded_ones_merge() -> None:
    env = gym.make("CartPole-v1")
    one = np.array([0.1, 0, 0, 0], np.float32)
    other = np.array([CLOSE, 0, 0, 0], np.float32)
    rounded, exact = describe_env(env, limits=False), describe_env(env, limits=False, exact=True)
    assert rounded.observation(one, {}) == rounded.observation(other, {})
    assert rounded.state_key(one) != rounded.state_key(other)
    assert exact.observation(one, {}) == rounded.observation(one, {}) + " Exactly: 0.1 0 0 0."
    assert exact.observation(other, {}).endswith(" Exactly: 0.10000001 0 0 0.")


def test_exact_texts_add_nothing_where_a_sentence_says_everything() -> None:
    for env_id in ("FrozenLake-v1", "Blackjack-v1"):
        env = gym.make(env_id)
        seen = env.reset(seed=0)
        assert describe_env(env, exact=True).observation(*seen) == describe_env(env).observation(
            *seen
        )
    quoted = describe_env(gym.make("FrozenLake-v1"), exact=True)
    assert quoted.observation(3, {"text": "On ice."}) == "On ice. Exactly: 3."
    template = describe_env(gym.make("FrozenLake-v1"), observation="on ice", exact=True)
    assert [template.observation(state, {}) for state in (0, 1)] == [
        "on ice Exactly: 0.",
        "on ice Exactly: 1.",
    ]
