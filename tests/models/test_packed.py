"""Rows behind each other: every token sees what it goes on from, and nothing else."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from dragoman.models.packed import Packed, pack, round_up
from dragoman.models.rows import Row, grow_tree

TOKENS = st.integers(1, 9)
CANDIDATES = st.lists(st.lists(TOKENS, min_size=1, max_size=5), max_size=5)
ROWS = st.lists(st.tuples(st.lists(TOKENS, min_size=1, max_size=6), CANDIDATES), min_size=1)


def rows_of(drawn) -> list[Row]:
    return [Row(tuple(prompt), grow_tree(tuple(map(tuple, own)))) for prompt, own in drawn]


def seen_by_each(packed: Packed) -> list[list[int]]:
    """Keys of each token, as an attention that is causal in every segment finds them."""
    numbers = packed.shape.cut(torch.from_numpy(packed.flat))
    queries, keys = numbers.queries.tolist(), numbers.keys.tolist()
    seen = numbers.seen.tolist() or list(range(packed.shape.tokens))
    found = []
    for (begin, end), (first, last) in zip(pairwise(queries), pairwise(keys), strict=True):
        assert end - begin <= packed.shape.longest
        assert last - first <= packed.shape.most_seen
        # The last token of a segment sees all its keys, each one before it one less.
        found += [seen[first : last - (end - place) + 1] for place in range(begin, end)]
    return found


def expected(rows: list[Row], shared: int) -> list[list[int]]:
    found: list[list[int]] = []
    head, start = list(range(shared)), shared
    for row in rows:
        own = [head + list(range(start, start + i + 1)) for i in range(len(row.prompt))]
        last = len(row.prompt) - 1
        for node, parent in enumerate(row.tree.parents):
            own.append([*own[last + 1 + parent], start + last + 1 + node])
        found += own
        start += len(row)
    return found


@given(ROWS, st.integers(0, 5), st.booleans())
def test_every_token_sees_its_own_past(drawn, shared: int, rounded: bool) -> None:
    rows = rows_of(drawn)
    packed = pack(rows, shared, rounded=rounded)
    numbers = packed.shape.cut(torch.from_numpy(packed.flat))
    count = packed.starts[-1]
    assert numbers.ids[:count].tolist() == [t for r in rows for t in (*r.prompt, *r.tree.tokens)]
    assert np.diff(packed.starts).tolist() == list(map(len, rows))
    seen = seen_by_each(packed)
    assert seen[:count] == expected(rows, shared)
    # A token stands after all that it sees.
    assert numbers.positions[:count].tolist() == [len(own) - 1 for own in seen[:count]]


@given(ROWS, st.integers(0, 5))
def test_what_fills_a_row_up_is_seen_by_none_and_sees_itself(drawn, shared: int) -> None:
    rows = rows_of(drawn)
    packed = pack(rows, shared)
    count, shape = int(packed.starts[-1]), packed.shape
    assert (shape.tokens, len(packed.flat)) == (
        round_up(count),
        2 * shape.tokens + 2 * (shape.segments + 1) + shape.seen,
    )
    seen = seen_by_each(packed)
    assert len(seen) == shape.tokens
    filled = {shared + place if shape.seen else place for place in range(count, shape.tokens)}
    assert all(not filled & set(own) for own in seen[:count])
    assert all(own and set(own) <= filled for own in seen[count:])


def test_plain_rows_need_no_gathering_of_keys() -> None:
    packed = pack([Row((1, 2)), Row((3,))], rounded=False)
    assert packed.shape == (3, 2, 0, 2, 2)
    assert packed.flat.tolist() == [1, 2, 3, 0, 1, 0, 0, 2, 3, 0, 2, 3]


def test_rows_of_like_size_have_one_shape() -> None:
    def shape(count: int):
        return pack([Row(tuple(range(20)))] * count, shared=40).shape

    assert shape(100) == shape(103)
    assert len({shape(count) for count in range(1, 600)}) < 40


def test_rounding_adds_at_most_a_step() -> None:
    for size in (1, 255, 256, 257, 1000, 30_000, 200_000):
        assert size <= round_up(size) <= max(256, 1.19 * size + 128)
        assert round_up(round_up(size)) == round_up(size)


def test_rows_of_one_token_do_not_take_the_shortcut_of_kernels() -> None:
    """It holds where there are as many tokens as segments, and there are segments to fill up."""
    packed = pack([Row((4,)), Row((5,))])
    assert packed.shape.longest == 2
