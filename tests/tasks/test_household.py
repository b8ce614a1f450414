"""The objects of the tidy house: enough, apart, and silent about where they belong."""

from itertools import combinations

import pytest

from dragoman.tasks.household import HOME, OBJECTS, PLACES

SPLIT_PAIRS = list(combinations(OBJECTS, 2))


def every_object():
    return [
        name for belongings in OBJECTS.values() for names in belongings.values() for name in names
    ]


def words_of(split, places=PLACES):
    return {word for place in places for name in OBJECTS[split][place] for word in name.split()}


def test_there_are_enough_places():
    assert len(PLACES) >= 15
    assert list(PLACES) == sorted(set(PLACES))


@pytest.mark.parametrize("place", PLACES)
def test_a_place_has_enough_objects_in_every_split(place):
    counts = [len(OBJECTS[split][place]) for split in ("train", "validation", "test")]
    assert sum(counts) >= 20
    assert min(counts) >= 4


def test_an_object_belongs_to_one_place_and_one_split():
    names = every_object()
    assert len(set(names)) == len(names) == len(HOME)
    assert all(name and name == name.strip() for name in names)


@pytest.mark.parametrize(("one", "other"), SPLIT_PAIRS)
def test_splits_share_no_word(one, other):
    assert not words_of(one) & words_of(other)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("one", "other"), SPLIT_PAIRS)
def test_no_word_is_part_of_another_split_s_word_in_the_same_place(one, other, place):
    pairs = [(a, b) for a in words_of(one, [place]) for b in words_of(other, [place])]
    assert [(a, b) for a, b in pairs if a in b or b in a or a[:5] == b[:5]] == []


def test_no_object_is_spelt_like_a_place():
    spelt = {word for place in PLACES for word in place.split()} - {"can"}
    assert [name for name in HOME for word in spelt if word in name] == []
    assert [name for name in HOME if "can" in name.split()] == []
