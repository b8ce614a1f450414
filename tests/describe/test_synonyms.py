from __future__ import annotations

import pytest

from dragoman.describe.synonyms import Synonyms
from dragoman.errors import ConfigError


@pytest.mark.parametrize(
    ("words", "text", "other"),
    [
        ({}, "take it", "take it"),
        ({"take": "grab"}, "Take it, mistake, take2 and TAKE", "Grab it, mistake, take2 and TAKE"),
        ({"red": "blue", "red ball": "orb"}, "a red ball, a red box", "a orb, a blue box"),
        # What was put in is not looked at again.
        ({"left": "right", "right": "left"}, "left or right", "right or left"),
        ({"a.b": "c"}, "a.b axb", "c axb"),
        ({"North": "south"}, "North, north", "south, north"),
        ({"x": r"\1"}, "x", r"\1"),
        ({"straße": "weg"}, "Straße", "Weg"),
    ],
)
def test_whole_words_are_put_in_other_words(words: dict[str, str], text: str, other: str) -> None:
    assert Synonyms(words)(text) == other


@pytest.mark.parametrize("word", ["", " ", "a ", "!", "(x"])
def test_what_is_no_word_is_refused(word: str) -> None:
    with pytest.raises(ConfigError, match="which is no word or phrase"):
        Synonyms({word: "other"})
