"""Batches of texts of like length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

BATCH_TOKENS = 8192
"""Most tokens, padding included, that one forward takes."""

FORWARD_TOKENS = 48
"""What one more forward costs, in tokens: its fixed part, measured on two CPU cores.

Some 50 with bfloat16 in the processor, and 55 to 72 in float32 with AVX2: what is fixed grows with
the time of a token. A constant, since how texts are put into batches moves the last digits.
"""


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


def pad_right(tokens: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return ids ``(B, T)`` padded on the right, and ``is_real`` ``(B, T)``.

    Padding is known by its place, not by its value, so a text may contain any token.
    """
    lengths = torch.tensor([len(row) for row in tokens])
    ids = torch.zeros(len(tokens), int(lengths.max()), dtype=torch.long)
    for i, row in enumerate(tokens):
        ids[i, : len(row)] = torch.tensor(row, dtype=torch.long)
    return ids, torch.arange(ids.shape[1]) < lengths.unsqueeze(1)
