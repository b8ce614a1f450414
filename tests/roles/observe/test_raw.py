"""Raw observations as numbers, of every kind of space."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces.utils import flatten

from dragoman.errors import ConfigError, SpaceError
from dragoman.models.words import word_features
from dragoman.roles.observe.raw import ITEMS, WORDS, RawState
from tests.moments import moments
from tests.observation_spaces import BOX, CODES, PICTURE, READABLE, UNREADABLE, Sayings, Things


@pytest.mark.parametrize("pictures", [True, False])
@pytest.mark.parametrize("name", READABLE)
def test_every_readable_space_has_numbers(name: str, pictures: bool) -> None:
    space = READABLE[name]
    state = RawState(space, pictures=pictures)
    space.seed(0)
    values = [space.sample() for _ in range(5)]
    rows = state(moments(values))
    if isinstance(rows, dict):
        assert pictures
        assert rows.keys() == state.feature_space.spaces.keys()
        rows = [{key: row[i] for key, row in rows.items()} for i in range(5)]
    for row in rows:
        assert state.feature_space.contains(row)
    again = state(moments(values))
    np.testing.assert_equal(again if isinstance(again, dict) else list(again), _joined(rows))


def _joined(rows):
    if isinstance(rows[0], dict):
        return {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    return list(rows)


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_holds_nothing_to_read_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="holds neither numbers nor a text") as error:
        RawState(UNREADABLE[name])
    assert "wrap the environment" in error.value.cure


OTHERWISE = ("text", "with a picture", "own", "thing", "odd", "sequence", "graph", "one of")
"""Words in the names of spaces that Gymnasium does not flatten, or not as here."""


@pytest.mark.parametrize(
    "name", [name for name in READABLE if not any(word in name for word in OTHERWISE)]
)
def test_numbers_are_those_that_gymnasium_gives(name: str) -> None:
    space = READABLE[name]
    value = space.sample()
    (row,) = RawState(space)(moments([value]))
    scale = np.float32(1 / 255 if name == "a picture" else 1)
    np.testing.assert_array_equal(row, np.asarray(flatten(space, value), np.float32) * scale)


def test_a_text_is_the_words_in_it() -> None:
    for space in (spaces.Text(50), Sayings()):
        (row,) = RawState(space)(moments(["go home"]))
        np.testing.assert_array_equal(row, word_features(["go home"], WORDS)[0])
        assert row.sum() == 3  # two words and a pair
    # A surrogate without its other half is no reason to end a training.
    RawState(Sayings())(moments(["\ud800"]))


def test_parts_stand_one_after_the_other() -> None:
    space = spaces.Dict(b=spaces.Discrete(3, start=1), a=BOX, mission=Sayings())
    value = {"b": 2, "a": np.array([0.5, -1], np.float32), "mission": "go home"}
    (row,) = RawState(space)(moments([value]))
    np.testing.assert_array_equal(row[:5], [0, 1, 0, 0.5, -1])
    assert row[5:].sum() == 3


def test_a_sequence_keeps_its_first_items_their_number_and_their_mean() -> None:
    state = RawState(spaces.Sequence(spaces.Box(0, 99, (1,))))
    empty, few, many = state(
        moments([(), (np.array([2]), np.array([4])), tuple(np.array([i]) for i in range(10))])
    )
    np.testing.assert_array_equal(empty, np.zeros(2 + ITEMS))
    np.testing.assert_array_equal(few, [2, 3, 2, 4, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(many, [10, 4.5, 0, 1, 2, 3, 4, 5, 6, 7])


def test_a_graph_is_its_nodes_and_its_edges_with_their_ends() -> None:
    state = RawState(spaces.Graph(spaces.Box(0, 9, (1,)), spaces.Discrete(2)))
    value = spaces.GraphInstance(np.array([[3], [5]]), np.array([1]), np.array([[0, 1]]))
    (row,) = state(moments([value]))
    np.testing.assert_array_equal(row[:4], [2, 4, 3, 5])
    np.testing.assert_array_equal(row[10:19], [1, 0, 1, 0, 1, 0, 1, 0, 1])
    assert not row[19:].any()


def test_a_choice_of_spaces_leaves_the_others_at_zero() -> None:
    state = RawState(spaces.OneOf([spaces.Discrete(2), BOX]))
    rows = state(moments([(0, 1), (1, np.array([0.5, -1]))]))
    np.testing.assert_array_equal(rows, [[1, 0, 0, 1, 0, 0], [0, 1, 0, 0, 0.5, -1]])


def test_pictures_are_kept_for_a_network_that_reads_them() -> None:
    space = spaces.Dict(image=PICTURE, codes=CODES, mission=spaces.Text(9))
    state = RawState(space, pictures=True)
    assert {key: part.shape for key, part in state.feature_space.spaces.items()} == {
        "numbers": (147 + WORDS,),
        "picture_0": (40, 36, 3),
    }
    value = space.sample()
    seen = state(moments([value]))
    np.testing.assert_array_equal(seen["picture_0"][0], value["image"])
    assert seen["picture_0"].dtype == np.uint8
    assert RawState(space).size == 147 + WORDS + 40 * 36 * 3


def test_what_is_left_out_is_named(caplog: pytest.LogCaptureFixture) -> None:
    state = RawState(spaces.Dict(a=BOX, b=spaces.Dict(c=Things())))
    assert state.size == 2
    assert "does not see observation['b']['c']" in caplog.text


@pytest.mark.parametrize(
    ("space", "value", "message"),
    [
        (BOX, np.zeros(3), "is not in Box"),
        (spaces.Discrete(3), 3, r"3 is not in Discrete\(3\)"),
        (spaces.Discrete(3, start=1), 0, r"0 is not in Discrete\(3, start=1\)"),
        (spaces.Text(3), 3, "3 is not in Text"),
        (spaces.Dict(a=BOX), {"b": np.zeros(2)}, r"no observation\['a'\]"),
        (spaces.Tuple([BOX, BOX]), (np.zeros(2),), r"no observation\[1\]"),
        (spaces.OneOf([BOX]), (1, np.zeros(2)), r"is not in OneOf"),
    ],
)
def test_what_lies_outside_is_refused(space, value, message: str) -> None:
    with pytest.raises(SpaceError, match=message) as error:
        RawState(space)(moments([value]))
    assert error.value.cure
