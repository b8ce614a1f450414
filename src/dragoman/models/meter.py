"""What a model's work costs: tokens, seconds and floating-point operations."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn

from dragoman.types import Cost


@dataclass(frozen=True)
class FlopRates:
    """Floating-point operations of a stack of blocks; a multiply-add counts as two.

    Attributes:
        block: Of one token in the weights of one block.
        attention: Of one token and one token that it sees, in one block.
        head: Of one row of logits.
        layers: Number of blocks.
    """

    layers: int
    block: float
    attention: float
    head: float

    @classmethod
    def of(cls, blocks: nn.ModuleList, config: Any, head: Any = None) -> FlopRates:
        """Read the rates off a model. Every expert of a mixture counts as used.

        Args:
            blocks: The transformer blocks.
            config: The configuration of the model.
            head: The linear map from hidden states to logits, if there is one.
        """
        modules = [module for block in blocks for module in block.modules()]
        looked_up = sum(m.weight.numel() for m in modules if isinstance(m, nn.Embedding))
        # Block by block, since an architecture may run one many times.
        weights = sum(p.numel() for block in blocks for p in block.parameters() if p.dim() > 1)
        weights -= looked_up
        # An architecture without attention has no heads; one with a number a block lists them.
        heads = getattr(config, "num_attention_heads", 0)
        heads = heads if isinstance(heads, int) else max(heads)
        # Not every configuration says it; T5 calls it d_kv.
        size = getattr(config, "head_dim", None) or getattr(config, "d_kv", None)
        width = heads * (size or config.hidden_size // heads) if heads else 0
        return cls(
            layers=len(blocks),
            block=2 * weights / len(blocks),
            # Queries times keys, and weights times values.
            attention=4 * width,
            head=2 * head.weight.numel() if head is not None else 0.0,
        )

    def blocks(self, tokens: int, contexts: int, depth: int | None = None) -> float:
        """Return the operations of a forward through blocks.

        Args:
            tokens: Number of tokens.
            contexts: Sum over the tokens of how many tokens each sees, itself included.
            depth: Number of blocks; all of them by default.
        """
        return (self.layers if depth is None else depth) * (
            self.block * tokens + self.attention * contexts
        )


def chain_contexts(before: int, count: int) -> int:
    """Return how many tokens ``count`` tokens in a row see in all, after ``before`` others."""
    return before * count + count * (count + 1) // 2


class Meter:
    """Books what passes through a model.

    Args:
        rates: Operations of its blocks and head.
        decoder: Operations of the decoder's blocks, where the model has one beside its encoder.
    """

    def __init__(self, rates: FlopRates, decoder: FlopRates | None = None) -> None:
        self.rates = rates
        self.decoder = decoder
        self.cost = Cost()

    @contextmanager
    def call(self, texts: int) -> Iterator[None]:
        """Book texts, and the seconds until the context is left."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.cost.texts += texts
            self.cost.seconds += time.perf_counter() - started

    def blocks(self, tokens: int, contexts: int, depth: int | None = None) -> None:
        """Book a forward; see `FlopRates.blocks`."""
        self.cost.tokens += tokens
        self.cost.flops += self.rates.blocks(tokens, contexts, depth)

    def encode_decode(self, prompt: int, lengths: Sequence[int]) -> None:
        """Book one prompt through the encoder, and texts after it through the decoder."""
        assert self.decoder is not None
        self.blocks(prompt, prompt * prompt)
        # A token of the decoder sees those before it, and the whole prompt.
        contexts = sum(chain_contexts(prompt, length) for length in lengths)
        self.cost.tokens += sum(lengths)
        self.cost.flops += self.decoder.blocks(sum(lengths), contexts)
        self.head(sum(lengths))

    def head(self, rows: int) -> None:
        """Book rows of logits."""
        self.cost.flops += rows * self.rates.head

    def shared(self, tokens: int) -> None:
        """Book tokens that need not pass, because their common head has before."""
        self.cost.tokens_shared += tokens
