from __future__ import annotations

import numpy as np
import pytest

from dragoman.errors import ConfigError
from dragoman.models.words import SIZE, Words, word_features
from dragoman.testing import TEXTS
from dragoman.types import LanguageModel


def test_words_and_neighbours_are_counted() -> None:
    row = word_features(["go home, Go home"], 4096)[0]
    # go (2), home (2), "go home" (2), "home go" (1)
    assert sorted(row[row > 0].tolist()) == [1, 2, 2, 2]
    one, other = word_features(["row 0, column 1", "row 1, column 0"])
    assert not np.array_equal(one, other)


def test_it_encodes_as_a_language_model() -> None:
    model = Words()
    assert isinstance(model, LanguageModel)
    texts = list(TEXTS)
    together = model.encode(texts)
    assert together.shape == (len(texts), SIZE)
    assert together.dtype == np.float32
    assert model.encode([]).shape == (0, SIZE)
    np.testing.assert_array_equal(model.encode([*texts, *texts])[len(texts) :], together)
    np.testing.assert_array_equal(model.encode(texts[:1])[0], together[0])
    assert model.cost.texts == 3 * len(texts) + 1
    assert model.cost.tokens == 0


def test_every_pooling_is_of_the_whole_text_and_stands_beside_the_others() -> None:
    model, texts = Words(), list(TEXTS)
    last, mean = model.encode(texts, pooling=["last"]), model.encode(texts, pooling=["mean"])
    np.testing.assert_array_equal(
        model.encode(texts, pooling=["last", "mean"]), np.concatenate([last, mean], axis=1)
    )
    np.testing.assert_array_equal(last.sum(axis=1), mean.sum(axis=1))
    # Words that share a place in one have places of their own in the other.
    assert not np.array_equal(last, mean)
    with pytest.raises(ConfigError, match="there is no pooling 'middle'"):
        model.encode(texts, pooling=["middle"])


def test_any_layer_is_the_same() -> None:
    model = Words()
    for layer in (0, 4, -1):
        np.testing.assert_array_equal(model.encode(["a b"], layer=layer), model.encode(["a b"]))
