from __future__ import annotations

import string

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.describe import space_writer
from dragoman.describe.exact import exact_writer
from dragoman.errors import SpaceError
from dragoman.phrases import shown

BOX = spaces.Box(-1, 1, (2,), np.float32)
LEAVES = [
    BOX,
    spaces.Box(0, 255, (8, 9, 3), np.uint8),
    spaces.Box(-np.inf, np.inf, (3, 2), np.float64),
    spaces.Box(0, 1, (), np.float32),
    spaces.Box(0, 1, (100,), np.float32),
    spaces.Discrete(4, start=-1),
    spaces.MultiDiscrete([3, 4]),
    spaces.MultiDiscrete([[3, 4], [5, 6]]),
    spaces.MultiBinary(5),
    spaces.MultiBinary((2, 3)),
    spaces.Text(12),
]
anything = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from("abc"), inner, min_size=1).map(spaces.Dict),
        st.lists(inner, min_size=1, max_size=3).map(spaces.Tuple),
        st.lists(inner, min_size=1, max_size=3).map(spaces.OneOf),
        inner.map(spaces.Sequence),
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(anything, st.integers(0, 2**31 - 1))
def test_any_space_is_described_and_equal_values_equally(space: gym.Space, seed: int) -> None:
    texts = []
    for _ in range(2):
        space.seed(seed)
        texts.append(space_writer(space)(space.sample()))
    assert texts[0] == texts[1]
    assert texts[0].strip()


@pytest.mark.parametrize(
    ("space", "value", "text"),
    [
        (BOX, np.array([0.25, -1], np.float32), "value 0 0.25 (limits ±1), value 1 -1 (limits ±1)"),
        (spaces.Box(0, 1, ()), np.array(0.5), "0.5 (limits 0 to 1)"),
        (spaces.Discrete(4, start=-1), 2, "2 of -1 to 2"),
        (spaces.MultiDiscrete([3, 4]), np.array([2, 0]), "value 0 2, value 1 0"),
        (spaces.MultiBinary(3), np.array([1, 0, 1], np.int8), "on: 0, 2 of 3"),
        (spaces.MultiBinary(3), np.zeros(3, np.int8), "on: none of 3"),
        (spaces.MultiBinary((2, 2)), np.eye(2, dtype=np.int8), "on: (0, 0), (1, 1) of 4"),
        (spaces.Text(9), "hello", "hello"),
        (spaces.Text(9, min_length=0), "", "(empty)"),
        (
            spaces.Dict(a=spaces.Discrete(2), b=spaces.Text(4)),
            {"a": 1, "b": "key"},
            "a: 1 of 0 to 1; b: key",
        ),
        (
            spaces.Tuple([spaces.Discrete(2)] * 2),
            (0, 1),
            "part 0: 0 of 0 to 1; part 1: 1 of 0 to 1",
        ),
        (spaces.Sequence(spaces.Discrete(9)), (3,), "1 item; item 0: 3 of 0 to 8"),
        (spaces.Sequence(spaces.Discrete(9)), (), "0 items"),
        (spaces.OneOf([BOX, spaces.Discrete(2)]), (1, 0), "choice 1: 0 of 0 to 1"),
        (
            spaces.Box(0, 255, (3, 6), np.uint8),
            np.repeat(np.arange(18, dtype=np.uint8).reshape(3, 6) // 2 * 2, 1, axis=0),
            None,
        ),
    ],
)  # fmt: skip
def test_golden_texts(space: gym.Space, value, text: str | None) -> None:
    if text is None:
        text = "value (0, 0) 0 (limits 0 to 255), value (0, 1) 0 (limits 0 to 255)"
        assert space_writer(space)(value).startswith(text)
    else:
        assert space_writer(space)(value) == text


def test_an_image_is_summarised_by_regions() -> None:
    image = np.zeros((9, 9, 3), np.uint8)
    image[:3, 6:] = 30
    got = space_writer(spaces.Box(0, 255, (9, 9, 3), np.uint8))(image)
    assert got == "image of 9 by 9 by 3, brightness from the top left: 0 0 30 / 0 0 0 / 0 0 0"


def test_a_large_array_is_summarised() -> None:
    got = space_writer(spaces.Box(-5, 5, (100,), np.float64))(np.arange(100) % 2)
    assert got == "100 numbers with mean 0.5, deviation 0.5, from 0 to 1"


def test_a_graph_is_described() -> None:
    space = spaces.Graph(spaces.Discrete(5), spaces.Discrete(3))
    value = spaces.GraphInstance(np.array([4, 2]), np.array([1]), np.array([[0, 1]]))
    assert space_writer(space)(value) == (
        "graph of 2 nodes and 1 edge; node 0: 4 of 0 to 4; node 1: 2 of 0 to 4; "
        "edge from 0 to 1: 1 of 0 to 2"
    )


class Sayings(spaces.Space):
    """A space of somebody's own that holds texts, as MiniGrid's missions do."""

    def __init__(self, shape=(), dtype=str):
        super().__init__(shape, dtype)

    def sample(self, mask=None, probability=None):
        return "hello"

    def contains(self, x):
        return True


OWN_TEXT, OWN_NUMBERS, OWN_THINGS = Sayings(), Sayings((2,), np.float32), Sayings(None, None)


@pytest.mark.parametrize(
    ("space", "value", "text"),
    [
        (OWN_TEXT, "go home", "go home"),
        (spaces.Dict(a=BOX, say=OWN_TEXT), {"a": np.zeros(2), "say": "go"}, "; say: go"),
        (OWN_NUMBERS, np.array([0.5, -2]), "value 0 0.5, value 1 -2"),
        (
            spaces.Tuple([spaces.Discrete(2), OWN_TEXT]),
            (1, "go"),
            "part 0: 1 of 0 to 1; part 1: go",
        ),
    ],
)
def test_spaces_of_somebodys_own_are_read_as_what_they_hold(space, value, text) -> None:
    assert space_writer(space)(value).endswith(text)


@pytest.mark.parametrize(
    ("space", "value", "text", "name"),
    [
        (
            spaces.Dict(a=spaces.Discrete(2), thing=OWN_THINGS),
            {"a": 1, "thing": object()},
            "a: 1 of 0 to 1",
            "'thing'",
        ),
        (spaces.Tuple([OWN_THINGS, spaces.Discrete(2)]), (None, 1), "part 1: 1 of 0 to 1", "0"),
        (
            spaces.Dict(inner=spaces.Dict(thing=OWN_THINGS), say=OWN_TEXT),
            {"inner": {"thing": 1}, "say": "go"},
            "say: go",
            "'inner'",
        ),
    ],
)
def test_what_nobody_can_read_is_left_out_and_named(
    space, value, text, name, caplog: pytest.LogCaptureFixture
) -> None:
    assert space_writer(space)(value) == text
    assert f"{name} is left out of the text" in caplog.text
    assert "Sayings is not a space of Gymnasium's own kinds" in caplog.text


@pytest.mark.parametrize("space", [OWN_THINGS, spaces.Dict(a=OWN_THINGS)])
def test_what_holds_nothing_to_read_is_refused(space) -> None:
    with pytest.raises(SpaceError, match="neither a text nor an array") as error:
        space_writer(space)
    assert "write a describer" in error.value.cure


SIZES = [7, 70]
"""Numbers are written one by one up to 64 and summed up beyond: one rule for both."""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        (np.float32, np.float64(0.5)),
        (np.float32, np.float32(1.0000001)),
        (np.float32, np.float32(-1e-7)),
        (np.float64, np.float32(0.5)),
        (np.float32, 1),
        (np.uint8, np.int64(1)),
    ],
)
def test_a_type_of_number_and_a_rounding_are_no_error(size, dtype, values) -> None:
    space = spaces.Box(0, 1, (size,), dtype)
    assert space_writer(space)(np.full(size, values))
    assert space_writer(spaces.Sequence(space))((np.full(size, values),))
    assert space_writer(spaces.OneOf([space]))((0, np.full(size, values)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (1.1, "value 5 is 1.1, outside its bounds 0 to 1"),
        (np.nan, "value 5 is nan, but must be finite"),
        (np.inf, "value 5 is inf, but must be finite"),
    ],
)
def test_the_first_number_outside_is_named(size, wrong, message) -> None:
    value = np.full(size, 0.5)
    value[5:] = wrong
    with pytest.raises(SpaceError, match=message) as error:
        space_writer(spaces.Box(0, 1, (size,), np.float32))(value)
    assert len(str(error.value)) < 300


def test_a_place_in_a_large_array_is_named() -> None:
    value = np.zeros((10, 10))
    value[3, 4] = 2
    with pytest.raises(SpaceError, match=r"value \(3, 4\) is 2.0, outside its bounds 0 to 1"):
        space_writer(spaces.Box(0, 1, (10, 10), np.float32))(value)
    with pytest.raises(SpaceError, match=r"shape \(10,\) and type float64"):
        space_writer(spaces.Box(0, 1, (10, 10), np.float32))(value[0])


def test_letters_outside_an_alphabet_are_named_with_an_alphabet_that_has_them() -> None:
    with pytest.raises(SpaceError, match=r"' ' is not in its alphabet") as error:
        space_writer(spaces.Text(200))("The door is closed.\n")
    cure = error.value.cure.removeprefix("declare every letter, as in gymnasium.")
    assert cure == "spaces.Text(200, charset=string.printable)"
    assert eval(cure, {"spaces": spaces, "string": string}).contains("The door is closed.\n")
    with pytest.raises(SpaceError) as error:
        space_writer(spaces.Text(200))("Die Tür ist zu.")
    cure = error.value.cure.removeprefix("declare every letter, as in gymnasium.")
    assert eval(cure, {"spaces": spaces, "string": string}).contains("Die Tür ist zu.")


@settings(max_examples=150, deadline=None)
@given(anything, st.integers(0, 2**31 - 1))
def test_no_text_holds_a_type_of_numpy(space: gym.Space, seed: int) -> None:
    space.seed(seed)
    value = space.sample()
    for limits in (True, False):
        assert "np." not in space_writer(space, limits=limits)(value)
    assert "np." not in exact_writer(space)(value)
    assert "np." not in shown(value)


@pytest.mark.parametrize(
    ("space", "value", "message"),
    [
        (BOX, np.array([0.5, np.nan], np.float32), "value 1 is nan, but must be finite"),
        (BOX, np.array([0.5, np.inf], np.float32), "value 1 is inf, but must be finite"),
        (BOX, np.array([0.5, 1.1], np.float32), r"value 1 is 1.1\d*, outside its bounds -1 to 1"),
        (BOX, np.zeros(3, np.float32), r"shape \(3,\)"),
        (BOX, "hello", r"type <U5"),
        (spaces.Discrete(3), 3, r"3 is not in Discrete\(3\)"),
        (spaces.Dict(a=BOX), {"b": 1}, r"got \['b'\] instead of the keys \['a'\]"),
        (spaces.Tuple([BOX]), (1, 2), "instead of 1 parts"),
        (spaces.MultiBinary(2), np.array([0, 2]), "is not in MultiBinary"),
        (spaces.Text(2), "abc", "'abc' is not in Text"),
        (spaces.Box(0, 1, (100,)), np.full(100, np.nan), "value 0 is nan, but must be finite"),
    ],
)
def test_what_lies_outside_is_refused(space: gym.Space, value, message: str) -> None:
    with pytest.raises(SpaceError, match=message) as error:
        space_writer(space)(value)
    assert error.value.cure


def test_rounding_at_a_bound_is_no_error() -> None:
    assert space_writer(BOX)(np.array([1 + 1e-7, 0])).startswith("value 0 1 ")


def test_a_space_of_a_foreign_kind_is_refused() -> None:
    class Foreign(gym.Space):
        pass

    with pytest.raises(SpaceError, match="Foreign is not a space"):
        space_writer(Foreign())
