"""The constant head of a prompt, computed once for every text that starts with it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dragoman.models.attention import KeysValues
from dragoman.models.device import bring
from dragoman.models.meter import Meter, chain_contexts
from dragoman.models.stack import Stack

MINIMUM_TOKENS = 8
"""A shorter head is not worth a forward of its own."""

REMEMBERED = 8
"""Heads kept at a time; the one unused longest is forgotten."""


@dataclass(frozen=True)
class Prefix:
    """Tokens that many texts start with, and what they have left behind.

    Attributes:
        tokens: The ``P`` tokens.
        keys_values: Of each block that was run, ``(1, heads, P, size)``.
        hidden: Their hidden states ``(P, H)`` in float32, at the depth they were asked for.
    """

    tokens: tuple[int, ...]
    keys_values: KeysValues
    hidden: Tensor

    def __len__(self) -> int:
        return len(self.tokens)

    def cut(self, length: int) -> Prefix:
        """Return its first tokens. Causal, they are what they would be alone."""
        if length == len(self):
            return self
        shorter = [(k[:, :, :length], v[:, :, :length]) for k, v in self.keys_values]
        return Prefix(self.tokens[:length], shorter, self.hidden[:length])


class PrefixMemory:
    """Finds the longest common token prefix of texts, and remembers what was computed for it.

    Heads are compared as tokens, so that none ends inside one. When the weights change,
    everything is forgotten.

    Args:
        stack: A stack that continues from keys and values.
        meter: Where its work is booked.
    """

    def __init__(self, stack: Stack, meter: Meter) -> None:
        self._stack = stack
        self._meter = meter
        self._version: object = None
        self._known: OrderedDict[tuple[int, tuple[int, ...]], Prefix] = OrderedDict()
        self._last_seen: list[int] = []

    def find(self, tokens: Sequence[list[int]], depth: int) -> Prefix | None:
        """Return the head that these texts share, if it is long enough to be worth it.

        A text alone is compared with the text before it. At least one token of each text stays
        outside, since its own hidden state is wanted.

        Args:
            tokens: Token ids of each text.
            depth: Number of blocks that will be run.
        """
        if not tokens or depth == 0:
            return None
        version = self._stack.weights.mark()
        if version != self._version:
            self.forget()
            self._version = version
        limit = min(map(len, tokens)) - 1
        first = tokens[0][:limit]
        # Sorted, the first and the last differ earliest.
        partner = max(tokens) if len(tokens) > 1 else self._last_seen
        shared = common_length(min(tokens)[:limit] if len(tokens) > 1 else first, partner)
        self._last_seen = tokens[-1]
        known, match = self._best_match(first if len(tokens) == 1 else first[:shared], depth)
        # Two texts may agree in more than the template by chance, so a head that covers most
        # of what is common is kept, and one that is too long is cut.
        if known is not None and match >= max(MINIMUM_TOKENS, 0.75 * shared):
            return known.cut(match)
        if shared < MINIMUM_TOKENS:
            return None
        return self._compute(tuple(first[:shared]), depth)

    def forget(self) -> None:
        """Forget all heads."""
        self._known.clear()
        self._last_seen = []

    def _best_match(self, start: list[int], depth: int) -> tuple[Prefix | None, int]:
        best, longest, result = None, 0, None
        for key, prefix in self._known.items():
            match = common_length(prefix.tokens, start) if key[0] == depth else 0
            if match > longest:
                best, longest, result = prefix, match, key
        if result is not None:
            self._known.move_to_end(result)
        return best, longest

    def _compute(self, tokens: tuple[int, ...], depth: int) -> Prefix:
        ids = bring(torch.tensor([tokens]), self._stack.device)
        with torch.inference_mode():
            hidden, keys_values = self._stack.run_keeping(ids, depth=depth)
        self._meter.blocks(len(tokens), chain_contexts(0, len(tokens)), depth)
        prefix = Prefix(tokens, keys_values, hidden[0].float())
        self._known[depth, tokens] = prefix
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return prefix


def common_length(left: Sequence[int], right: Sequence[int]) -> int:
    """Return how many tokens two sequences share from the start."""
    pairs = zip(left, right, strict=False)
    differences = (i for i, (a, b) in enumerate(pairs) if a != b)
    return next(differences, min(len(left), len(right)))
