"""Features of a text without a language model: which words and pairs of words stand in it."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from dragoman.types import FloatArray

SIZE = 1024
"""Places that words are hashed to; two words may share one."""

WORD = re.compile(r"[^\W_]+|[-+]?\d+(?:\.\d+)?")


def word_features(texts: Sequence[str], size: int = SIZE) -> FloatArray:
    """Return counts of words and of neighbours, hashed by CRC-32, float32 ``(B, size)``."""
    features = np.zeros((len(texts), size), np.float32)
    for row, text in zip(features, texts, strict=True):
        words = WORD.findall(text.casefold())
        for token in (*words, *map(" ".join, pairwise(words))):
            row[zlib.crc32(token.encode("utf-8", "surrogatepass")) % size] += 1.0
    return features
