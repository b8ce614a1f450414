"""The model ``words``: which words and neighbouring words stand in a text, and nothing learnt.

Its features are all zero but for the words of the text, so the first linear layer of a policy looks
each of them up in a table that the rewards alone train: a learned embedding of the text. That is
the control which separates what a language model knows from having the text at all.
"""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from dragoman.models.answers import check_pooling
from dragoman.types import Cost, FloatArray, LanguageModel, Pooling

WORDS = "words"
"""The name of this model, where experiments name models."""

SIZE = 1024
"""Places that words are hashed to; two words may share one."""

WORD = re.compile(r"[^\W_]+|[-+]?\d+(?:\.\d+)?")


def word_features(texts: Sequence[str], size: int = SIZE, salt: str = "") -> FloatArray:
    """Return counts of words and of neighbours, hashed by CRC-32, float32 ``(B, size)``.

    Args:
        texts: ``B`` texts.
        size: Number of places.
        salt: Another salt puts words that shared a place into different ones.
    """
    features = np.zeros((len(texts), size), np.float32)
    for row, text in zip(features, texts, strict=True):
        words = WORD.findall(text.casefold())
        for token in (*words, *map(" ".join, pairwise(words))):
            row[zlib.crc32((salt + token).encode("utf-8", "surrogatepass")) % size] += 1.0
    return features


def is_words(model: LanguageModel) -> bool:
    """Return whether a model is `Words`, around or without a memory."""
    return model.fingerprint == Words.fingerprint


class Words:
    """Counts of words and neighbours as a language model that only encodes.

    It has no blocks, so every layer is the same. Every pooling is of the whole text, hashed in
    another way: words that share a place in one have places of their own in the other.
    """

    name = WORDS
    hidden_size = SIZE
    num_layers = 1
    fingerprint = f"{WORDS} 1"

    def __init__(self) -> None:
        self.cost = Cost()

    def encode(
        self,
        texts: Sequence[str],
        *,
        layer: int | None = None,
        pooling: Sequence[Pooling] = ("last",),
    ) -> FloatArray:
        """Return features, float32 ``(B, len(pooling) * H)``; see `LanguageModel.encode`."""
        check_pooling(pooling)
        started = time.perf_counter()
        distinct = list(dict.fromkeys(texts))
        rows = {text: row for row, text in enumerate(distinct)}
        features = np.concatenate([word_features(distinct, SIZE, name) for name in pooling], axis=1)
        self.cost.texts += len(texts)
        self.cost.seconds += time.perf_counter() - started
        return features[[rows[text] for text in texts]]
