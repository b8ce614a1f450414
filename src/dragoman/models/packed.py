"""Rows without padding: the tokens of all rows behind each other, as one row.

Each token goes on from one other. Where that is the token before it, both stand in one segment;
a branch of a tree of candidates starts another. A segment's keys are those of the shared head, of
the tokens that it goes on from, and its own, so that attention is causal in every segment.

What a GPU prepares once, it prepares for one shape. Sizes are therefore rounded up to few, and
what is left over is filled with segments that nothing looks at.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from dragoman.models.rows import Row, TokenTree

Ints: TypeAlias = np.ndarray[Any, np.dtype[np.int32]]

SMALLEST = 256
"""Sizes are not rounded to less than this."""

STEP = 1.19
"""Each next size is so much larger, so that at most a sixth of a row is left over."""

GRAIN = 64
"""Every rounded size is a multiple of this."""


class Numbers(NamedTuple):
    """The tensors of a packed row, int32.

    Attributes:
        ids: Token ids ``(T,)``.
        positions: Position of each token ``(T,)``.
        queries: Where each segment's tokens begin, and the last one's end ``(S + 1,)``.
        keys: The same of their keys ``(S + 1,)``.
        seen: Which token each key is of ``(K,)``, the head's first; empty where every segment's
            keys are its own tokens.
    """

    ids: Tensor
    positions: Tensor
    queries: Tensor
    keys: Tensor
    seen: Tensor


class Shape(NamedTuple):
    """The sizes of a packed row.

    Attributes:
        tokens: ``T``.
        segments: ``S``.
        seen: ``K``; 0 where every segment's keys are its own tokens.
        longest: Most tokens of a segment, at least.
        most_seen: Most keys of a segment, at least.
    """

    tokens: int
    segments: int
    seen: int
    longest: int
    most_seen: int

    def cut(self, flat: Tensor) -> Numbers:
        """Return the tensors of a row whose numbers stand behind each other."""
        ends = self.segments + 1
        sizes = [self.tokens, self.tokens, ends, ends, self.seen]
        return Numbers(*torch.split(flat, sizes))


@dataclass(frozen=True)
class Packed:
    """Rows behind each other.

    Attributes:
        shape: Sizes, rounded up.
        flat: All its numbers behind each other, so that one copy brings them to a device; see
            `Shape.cut`.
        starts: Place of the first token of each row, and where the last row ends ``(B + 1,)``.
    """

    shape: Shape
    flat: Ints
    starts: Ints


def round_up(size: int) -> int:
    """Return the size that so many are filled up to.

    >>> [round_up(size) for size in (1, 256, 257, 1000)]
    [256, 256, 320, 1152]
    """
    result = SMALLEST
    while result < size:
        result = int(result * STEP) // GRAIN * GRAIN + GRAIN
    return result


def pack(rows: Sequence[Row], shared: int = 0, *, rounded: bool = True) -> Packed:
    """Lay rows behind each other.

    Args:
        rows: At least one.
        shared: Tokens of a head that stands before every row.
        rounded: Round the sizes up.
    """
    known: dict[tuple[int, int], _Segments] = {}
    own = []
    for row in rows:
        kind = len(row.prompt), id(row.tree)
        if kind not in known:
            known[kind] = _Segments.of(len(row.prompt), row.tree)
        own.append(known[kind])
    starts = _ends([len(row) for row in rows])
    tokens, lengths = int(starts[-1]), np.concatenate([one.lengths for one in own])
    size = round_up(tokens) if rounded else tokens
    # Kernels have a shortcut for segments of one token each, which takes none for filling.
    longest = max(_power(int(lengths.max())), 2)
    filling = _pieces(size - tokens, longest)
    seen, key_lengths, most_seen = np.empty(0, np.int32), lengths, longest
    if shared or len(lengths) > len(rows):
        seen, key_lengths = _seen(own, starts, shared)
        most_seen = _power(int(key_lengths.max()))
        seen = np.concatenate([seen, shared + np.arange(tokens, size, dtype=np.int32)])
        if rounded:
            seen = _filled(seen, round_up(len(seen)), 0)
    queries, keys = (_ends(np.concatenate([part, filling])) for part in (lengths, key_lengths))
    segments = round_up(len(queries) - 1) if rounded else len(queries) - 1
    words = chain.from_iterable(chain(row.prompt, row.tree.tokens) for row in rows)
    flat = [
        _filled(np.fromiter(words, np.int32, tokens), size, 0),
        _filled(shared + np.concatenate([one.depths for one in own]), size, 0),
        _filled(queries, segments + 1, int(queries[-1])),
        _filled(keys, segments + 1, int(keys[-1])),
        seen,
    ]
    shape = Shape(size, segments, len(seen), longest, most_seen)
    return Packed(shape, np.concatenate(flat, dtype=np.int32), starts)


@dataclass(frozen=True)
class _Segments:
    """The segments of a row, by the places of its own tokens.

    Attributes:
        depths: Number of tokens above each token ``(n,)``.
        lengths: Tokens of each segment ``(s,)``.
        begins: Where each range of keys begins, segment by segment ``(r,)``.
        counts: Keys of each range ``(r,)``.
        ranges: Number of ranges of each segment ``(s,)``.
    """

    depths: Ints
    lengths: Ints
    begins: Ints
    counts: Ints
    ranges: Ints

    @classmethod
    def of(cls, prompt: int, tree: TokenTree) -> _Segments:
        """Return the segments of a prompt of so many tokens with a tree of candidates."""
        starts = [0] + [prompt + i for i, up in enumerate(tree.parents) if up != i - 1]
        ends = [*starts[1:], prompt + len(tree.tokens)]
        above: list[list[tuple[int, int]]] = []
        for start, end in zip(starts, ends, strict=True):
            if start == 0:
                above.append([(0, end)])
                continue
            last = prompt + tree.parents[start - prompt]
            holder = bisect_right(starts, last) - 1
            *before, (begin, _) = above[holder]
            above.append([*before, (begin, last + 1), (start, end)])
        flat = [pair for ranges in above for pair in ranges]
        depths = [*range(prompt), *(prompt + depth for depth in tree.depths)]
        return cls(
            depths=np.array(depths, np.int32),
            lengths=np.array(ends, np.int32) - np.array(starts, np.int32),
            begins=np.array([begin for begin, _ in flat], np.int32),
            counts=np.array([end - begin for begin, end in flat], np.int32),
            ranges=np.array([len(ranges) for ranges in above], np.int32),
        )


def _seen(own: Sequence[_Segments], starts: Ints, shared: int) -> tuple[Ints, Ints]:
    """Return which tokens the segments see, end to end, and how many each sees."""
    offsets = np.repeat(starts[:-1] + shared, [len(one.begins) for one in own])
    begins = np.concatenate([one.begins for one in own]) + offsets
    counts = np.concatenate([one.counts for one in own])
    ranges = np.concatenate([one.ranges for one in own])
    if shared:
        first = _ends(ranges)[:-1]
        begins, counts = np.insert(begins, first, 0), np.insert(counts, first, shared)
        ranges = ranges + 1
    ends = _ends(counts)
    seen = np.repeat(begins - ends[:-1], counts) + np.arange(ends[-1], dtype=np.int32)
    return seen, np.add.reduceat(counts, _ends(ranges)[:-1])


def _ends(lengths: Ints | list[int]) -> Ints:
    """Return where parts of these lengths begin, and where the last ends."""
    return np.concatenate([[0], np.cumsum(lengths)], dtype=np.int32)


def _pieces(count: int, most: int) -> Ints:
    """Return so many as a sum of parts, none above the most."""
    whole, rest = divmod(count, most)
    return np.array([most] * whole + [rest] * (rest > 0), np.int32)


def _filled(numbers: Ints, size: int, value: int) -> Ints:
    return np.pad(numbers, (0, size - len(numbers)), constant_values=value)


def _power(size: int) -> int:
    """Return the next power of two."""
    return 1 << (size - 1).bit_length()
