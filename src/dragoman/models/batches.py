"""Batches of texts of like length."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from dragoman.models.meter import Meter

log = logging.getLogger(__name__)

T = TypeVar("T")

BATCH_TOKENS = 8192
"""Most tokens, padding included, that one forward takes."""

FORWARD_TOKENS = 48
"""What one more forward costs, in tokens: its fixed part, measured on two CPU cores.

Some 50 with bfloat16 in the processor, and 55 to 72 in float32 with AVX2: what is fixed grows with
the time of a token. A constant, since how texts are put into batches moves the last digits.
"""


class Cut(Protocol):
    """Cuts rows of these lengths into batches of row indices."""

    def __call__(self, lengths: Sequence[int], *, budget: int) -> list[list[int]]:
        """Return every row once."""
        ...


class Batcher:
    """Cuts work into batches for one device, smaller ones where its memory runs out.

    Args:
        meter: Where it is booked that memory ran out.
        budget: Most tokens, padding included, that one forward takes.
        forward: What one more forward costs, in tokens.
    """

    def __init__(
        self, meter: Meter, budget: int = BATCH_TOKENS, forward: int = FORWARD_TOKENS
    ) -> None:
        self._meter = meter
        self.budget = budget
        self.forward = forward

    def padded(self, lengths: Sequence[int], *, budget: int) -> list[list[int]]:
        """Return the batches that cost least where rows are padded; see `plan_batches`."""
        return plan_batches(lengths, budget=budget, overhead=self.forward)

    def each(
        self, lengths: Sequence[int], cut: Cut, read: Callable[[list[int]], T]
    ) -> Iterator[tuple[list[int], T]]:
        """Yield batches of row indices, with what is read of them.

        Args:
            lengths: Tokens of each row.
            cut: Which rows stand together, within a budget.
            read: Reads a batch. Where memory runs out, what is left is cut again by half of it.
        """
        left = list(range(len(lengths)))
        while left:
            done: set[int] = set()
            for part in cut([lengths[i] for i in left], budget=self.budget):
                batch = [left[i] for i in part]
                try:
                    result = read(batch)
                except torch.cuda.OutOfMemoryError:
                    if len(batch) == 1:
                        raise
                    self.halve(sum(lengths[i] for i in batch))
                    break
                yield batch, result
                done.update(batch)
            left = [i for i in left if i not in done]

    def halve(self, tokens: int) -> None:
        """Take half from now on, as the device's memory did not hold a batch of so many tokens."""
        self.budget = max(min(self.budget, tokens) // 2, 1)
        if not self._meter.cost.out_of_memory:
            log.warning(
                "the device's memory did not hold a batch of %d tokens; batches of %d from now on",
                tokens,
                self.budget,
            )
        self._meter.cost.out_of_memory += 1


def plan_batches(
    lengths: Sequence[int], *, budget: int = BATCH_TOKENS, overhead: int = FORWARD_TOKENS
) -> list[list[int]]:
    """Return row indices in the batches that cost least: padded tokens and forwards.

    The rows are sorted by length and cut by dynamic programming, which is exact: some best
    plan has batches of neighbours.

    >>> plan_batches([3, 100, 4], overhead=10)
    [[0, 2], [1]]

    Args:
        lengths: Tokens of each row.
        budget: Most tokens of a batch, padding included; a longer row stands alone.
        overhead: Cost of one more batch, in tokens.
    """
    order = np.argsort(np.asarray(lengths, dtype=np.int64), kind="stable")
    widths = np.asarray(lengths, dtype=np.int64)[order]
    best = np.zeros(len(order) + 1, dtype=np.int64)
    start_of = np.zeros(len(order) + 1, dtype=np.int64)
    for end in range(1, len(order) + 1):
        width = max(int(widths[end - 1]), 1)
        earliest = max(end - max(budget // width, 1), 0)
        starts = np.arange(earliest, end)
        costs = best[starts] + (end - starts) * width + overhead
        # Of equal plans the one with the largest batch.
        choice = int(np.argmin(costs))
        best[end], start_of[end] = costs[choice], starts[choice]
    batches: list[list[int]] = []
    end = len(order)
    while end > 0:
        batches.append(order[start_of[end] : end].tolist())
        end = int(start_of[end])
    return batches[::-1]


def equal_batches(lengths: Sequence[int], *, budget: int = BATCH_TOKENS) -> list[list[int]]:
    """Return row indices in batches without padding, for what must not be padded.

    >>> equal_batches([3, 100, 3, 4])
    [[0, 2], [3], [1]]

    Args:
        lengths: Tokens of each row.
        budget: Most tokens of a batch; a longer row stands alone.
    """
    batches = []
    for length in sorted(set(lengths)):
        rows = [i for i, own in enumerate(lengths) if own == length]
        step = max(budget // max(length, 1), 1)
        batches += [rows[start : start + step] for start in range(0, len(rows), step)]
    return batches


def full_batches(lengths: Sequence[int], *, budget: int = BATCH_TOKENS) -> list[list[int]]:
    """Return row indices in batches as full as they get in order, for rows without padding.

    >>> full_batches([3, 100, 3, 4], budget=10)
    [[0], [1], [2, 3]]

    Args:
        lengths: Tokens of each row.
        budget: Most tokens of a batch; a longer row stands alone.
    """
    batches: list[list[int]] = []
    tokens = budget + 1
    for i, length in enumerate(lengths):
        tokens += length
        if tokens > budget:
            batches.append([])
            tokens = length
        batches[-1].append(i)
    return batches


def single_batches(lengths: Sequence[int], *, budget: int = BATCH_TOKENS) -> list[list[int]]:
    """Return each row in a batch of its own, for what must not stand beside another."""
    return [[i] for i in range(len(lengths))]


def pad_right(tokens: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return ids ``(B, T)`` padded on the right, and ``is_real`` ``(B, T)``.

    Padding is known by its place, not by its value, so a text may contain any token.
    """
    lengths = torch.tensor([len(row) for row in tokens])
    ids = torch.zeros(len(tokens), int(lengths.max()), dtype=torch.long)
    for i, row in enumerate(tokens):
        ids[i, : len(row)] = torch.tensor(row, dtype=torch.long)
    return ids, torch.arange(ids.shape[1]) < lengths.unsqueeze(1)
