"""Hidden states of texts as one vector a text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from dragoman.models.attention import expand
from dragoman.models.batches import Batcher, Cut, equal_batches, full_batches, pad_right
from dragoman.models.device import bring
from dragoman.models.meter import Meter, chain_contexts
from dragoman.models.pooling import check_states, pool, pool_rows
from dragoman.models.prefix import Prefix, PrefixMemory
from dragoman.models.rows import Row
from dragoman.models.stack import Stack
from dragoman.types import FloatArray, Pooling


class Encoder:
    """Encodes texts with a stack of blocks.

    Args:
        stack: The model's blocks.
        prefixes: Memory of constant heads of texts.
        meter: Where its work is booked.
        batcher: Cuts it into batches.
    """

    def __init__(
        self, stack: Stack, prefixes: PrefixMemory, meter: Meter, batcher: Batcher
    ) -> None:
        self._stack = stack
        self._prefixes = prefixes
        self._meter = meter
        self._batcher = batcher
        self._width = int(stack.module.config.hidden_size)

    def encode(
        self, parts: Iterable[Sequence[list[int]]], depth: int, pooling: Sequence[Pooling]
    ) -> FloatArray:
        """Return features ``(B, len(pooling) * H)`` of the hidden states after some blocks.

        Args:
            parts: Token ids of ``B`` texts in parts. The next is asked for when the forwards of
                the one before are under way, and a GPU is waited for after the last only.
            depth: Number of blocks that are run.
            pooling: Poolings whose results stand side by side.
        """
        begun = [(len(tokens), list(self._batches(tokens, depth, pooling))) for tokens in parts]
        features = np.empty(
            (sum(count for count, _ in begun), len(pooling) * self._width), np.float32
        )
        start = 0
        for count, batches in begun:
            for batch, pooled in batches:
                features[start : start + count][batch] = pooled.cpu().numpy()
            start += count
        return features

    def _batches(
        self, tokens: Sequence[list[int]], depth: int, pooling: Sequence[Pooling]
    ) -> Iterator[tuple[list[int], Tensor]]:
        """Yield batches of row indices, and their features where they are computed."""
        stack, longest = self._stack, max(map(len, tokens), default=0)
        prefix = self._prefixes.find(tokens, depth) if stack.continues_at(longest) else None
        shared = len(prefix) if prefix else 0
        rests = [ids[shared:] for ids in tokens]
        cut: Cut
        if stack.unpadded.reads(longest):
            cut, pooled = full_batches, self._unpadded
        else:
            cut = self._batcher.padded if stack.pads_at(longest) else equal_batches
            pooled = self._padded

        def read(batch: list[int]) -> Tensor:
            with torch.inference_mode():
                return pooled([rests[i] for i in batch], depth, prefix, pooling)

        yield from self._batcher.each(list(map(len, rests)), cut, read)
        self._meter.shared(shared * len(rests))
        self._meter.blocks(sum(map(len, rests)), self._contexts(rests, shared), depth)

    def _padded(
        self, rests: list[list[int]], depth: int, prefix: Prefix | None, pooling: Sequence[Pooling]
    ) -> Tensor:
        ids, is_real = (bring(item, self._stack.device) for item in pad_right(rests))
        hidden = self._stack.run(
            ids,
            depth=depth,
            # On the right of a causal text, padding is seen by padding only.
            is_real=None if self._stack.is_causal else is_real,
            past=expand(prefix.keys_values, len(rests)) if prefix else None,
        )
        check_states(hidden, (*ids.shape, self._width), self._stack.name)
        return pool(hidden.float(), is_real, pooling, prefix)

    def _unpadded(
        self, rests: list[list[int]], depth: int, prefix: Prefix | None, pooling: Sequence[Pooling]
    ) -> Tensor:
        rows = [Row(tuple(ids)) for ids in rests]
        head = prefix.keys_values if prefix else None
        hidden, starts = self._stack.unpadded.run(rows, depth, head)
        check_states(hidden.unsqueeze(0), (1, len(hidden), self._width), self._stack.name)
        return pool_rows(hidden, starts, pooling, prefix)

    def _contexts(self, rests: list[list[int]], shared: int) -> int:
        """Return how many tokens the tokens of texts see in all."""
        if self._stack.is_causal:
            return sum(chain_contexts(shared, len(ids)) for ids in rests)
        return sum(len(ids) ** 2 for ids in rests)
