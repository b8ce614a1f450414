"""Answers of models as bytes for the disk, and back without loss."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

import numpy as np

from dragoman.generation import Generation
from dragoman.types import FloatArray

Arrays: TypeAlias = tuple[FloatArray, ...]
"""Flat arrays: the features of a text, or the log-probs of each candidate."""

T = TypeVar("T")


@dataclass(frozen=True)
class Packing(Generic[T]):
    """How one kind of answer is kept.

    Attributes:
        size: Bytes that an answer takes in memory, without its key.
        pack: An answer to bytes.
        unpack: Bytes to an equal answer.
        arrays: The arrays of an answer.
    """

    size: Callable[[T], int]
    pack: Callable[[T], bytes]
    unpack: Callable[[bytes], T]
    arrays: Callable[[T], Iterable[FloatArray]]

    def freeze(self, answer: T) -> T:
        """Make an answer read-only, and return it: the memory's own arrays are handed out."""
        for array in self.arrays(answer):
            array.flags.writeable = False
        return answer


def _pack_arrays(arrays: Arrays) -> bytes:
    lengths = np.array([len(arrays), *map(len, arrays)], dtype="<u4")
    return b"".join([lengths.tobytes(), *(row.astype("<f4").tobytes() for row in arrays)])


def _unpack_arrays(packed: bytes) -> Arrays:
    count = int(np.frombuffer(packed, "<u4", count=1)[0])
    lengths = np.frombuffer(packed, "<u4", count=count, offset=4)
    rows = np.frombuffer(packed, "<f4", offset=4 + 4 * count).astype(np.float32)
    return tuple(np.split(rows, np.cumsum(lengths)[:-1])) if count else ()


def _pack_generation(answer: Generation) -> bytes:
    # A float32 has an exact double, and JSON writes doubles so that they read back the same.
    written = [answer.text, answer.finish, list(answer.tokens), answer.log_probs.tolist()]
    return json.dumps(written).encode()


def _unpack_generation(packed: bytes) -> Generation:
    text, finish, tokens, log_probs = json.loads(packed)
    return Generation(text, np.array(log_probs, dtype=np.float32), finish, tuple(tokens))


ARRAYS = Packing[Arrays](
    size=lambda arrays: sum(row.nbytes for row in arrays),
    pack=_pack_arrays,
    unpack=_unpack_arrays,
    arrays=lambda arrays: arrays,
)
GENERATION = Packing[Generation](
    size=lambda answer: 4 * len(answer.text) + 40 * len(answer.tokens) + answer.log_probs.nbytes,
    pack=_pack_generation,
    unpack=_unpack_generation,
    arrays=lambda answer: (answer.log_probs,),
)
