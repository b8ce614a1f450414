from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from dragoman.errors import ConfigError
from dragoman.roles.observe import embedding
from dragoman.roles.observe.embedding import PAD, TokenObserver
from dragoman.roles.observe.settings import Observe
from dragoman.types import Tokenizer
from tests.moments import moments


class Words:
    """A tokenizer whose tokens are the words of a text, counted from 100."""

    hidden_size = 6

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def token_ids(self, texts):
        return [
            [self.known.setdefault(word, 100 + len(self.known)) for word in text.split()]
            for text in texts
        ]


SPACE = gym.spaces.Box(-1, 1, (2,), np.float32)


def make(**settings) -> TokenObserver:
    observe = Observe(encoder="embedding", **{"max_tokens": 4, **settings})
    return TokenObserver(Words(), observe, SPACE)


def read(observer: TokenObserver, *texts: str) -> np.ndarray:
    rows = [np.full(2, i, np.float32) for i, _ in enumerate(texts)]
    return observer(moments(rows, [{"text": text} for text in texts]))


def test_tokens_take_rows_in_the_order_they_are_met() -> None:
    observer = make()
    assert isinstance(observer.rows.tokenizer, Tokenizer)
    got = read(observer, "row 0 column 1", "row 1")
    np.testing.assert_array_equal(got, [[1, 2, 3, 4], [1, 4, PAD, PAD]])
    assert all(observer.feature_space.contains(row) for row in got)
    assert observer.feature_space.width == 6


def test_raw_values_stand_behind_the_tokens() -> None:
    np.testing.assert_array_equal(
        read(make(raw=True), "a", "b"), [[1, PAD, PAD, PAD, 0, 0], [2, PAD, PAD, PAD, 1, 1]]
    )


def test_what_training_never_met_shares_row_0() -> None:
    observer = make()
    read(observer, "a b")
    observer.learning = False
    np.testing.assert_array_equal(read(observer, "b new a")[0], [2, 0, 1, PAD])
    np.testing.assert_array_equal(read(observer, "new")[0], [0, PAD, PAD, PAD])


def test_a_full_table_puts_the_others_into_row_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "ROWS", 3)
    np.testing.assert_array_equal(read(make(), "a b c a")[0], [1, 2, 0, 1])


def test_saved_state_finds_the_same_rows() -> None:
    trained, loaded = make(), make()
    loaded.rows.tokenizer = trained.rows.tokenizer
    read(trained, "a b c")
    loaded.load_state(trained.state())
    loaded.learning = False
    np.testing.assert_array_equal(read(loaded, "c a"), read(trained, "c a"))


def test_too_long_a_text_names_the_setting() -> None:
    with pytest.raises(ConfigError, match=r"has 5 tokens, but observe.max_tokens is 4") as error:
        read(make(), "a b c d e")
    assert "raise observe.max_tokens" in error.value.cure


def test_raw_needs_what_can_be_read() -> None:
    raw = Observe(encoder="embedding", raw=True)
    with pytest.raises(ConfigError, match=r"reads raw observations, but .* holds neither"):
        TokenObserver(Words(), raw, gym.spaces.Space())
