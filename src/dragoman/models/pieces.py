"""Texts read in pieces, with gradients that are those of the whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from dragoman.models.batches import Batcher, Cut
from dragoman.models.device import bring

T = TypeVar("T", bound=Sized)

Results: TypeAlias = tuple[list[int], Tensor, Tensor]
"""The order in which texts were read, and features and log-probs of all in that order."""


@dataclass(frozen=True)
class Reading(Generic[T]):
    """Texts to be read, and how.

    Attributes:
        texts: At least one.
        sizes: Number of log-probs of each.
        read: Returns features ``(B, D)`` of some of them, and their log-probs end to end.
        cut: Which stand together.
        batcher: Cuts them into batches, smaller ones where the device's memory runs out.
    """

    texts: Sequence[T]
    sizes: Sequence[int]
    read: Callable[[list[T]], tuple[Tensor, Tensor]]
    cut: Cut
    batcher: Batcher

    def of(self, rows: list[int]) -> tuple[Tensor, Tensor]:
        """Read some of them."""
        return self.read([self.texts[i] for i in rows])

    def in_pieces(self) -> Results:
        """Read all, and keep nothing for gradients."""
        order: list[int] = []
        features, log_probs = [], []
        for batch, (own, flat) in self.batcher.each(self._lengths, self.cut, self.of):
            order += batch
            features.append(own.detach())
            log_probs.append(flat.detach())
        return order, torch.cat(features), torch.cat(log_probs)

    def with_gradients(self, weights: Sequence[nn.Parameter]) -> Results:
        """Read all at once where they fit, else in pieces that are read again on the way back."""
        pieces = self.cut(self._lengths, budget=self.batcher.budget)
        if len(pieces) == 1:
            try:
                return pieces[0], *self.of(pieces[0])
            except torch.cuda.OutOfMemoryError:
                if len(self.texts) == 1:
                    raise
                self.batcher.halve(sum(self._lengths))
        order: list[int] = []
        features, log_probs = _Again.apply(self, order, *weights)  # type: ignore[no-untyped-call]
        return order, features, log_probs

    def gradients(
        self, order: list[int], given: Sequence[Tensor | None], weights: Sequence[nn.Parameter]
    ) -> list[Tensor | None]:
        """Return the gradients of weights, by those of what was read in an order."""
        place = {row: i for i, row in enumerate(order)}
        starts = torch.tensor([0, *(self.sizes[row] for row in order)]).cumsum(0).tolist()
        totals: list[Tensor | None] = [None] * len(weights)

        def again(rows: list[int]) -> Sequence[Tensor | None]:
            own = [place[row] for row in rows]
            flat = [i for k in own for i in range(starts[k], starts[k + 1])]
            with torch.enable_grad():
                results = self.of(rows)
            parts = [
                (result, gradient[bring(where, gradient.device)])
                for result, gradient, where in zip(results, given, (own, flat), strict=True)
                if gradient is not None and result.requires_grad
            ]
            # What is known so far comes first, and each place of a weight adds to it, in the order
            # of PyTorch's own way back through all pieces: rounding depends on it.
            parts += [
                (w, known) for w, known in zip(weights, totals, strict=True) if known is not None
            ]
            if not parts:
                return totals
            outputs, gradients = zip(*parts, strict=True)
            return torch.autograd.grad(outputs, weights, gradients, allow_unused=True)

        for _, found in self.batcher.each(self._lengths, self._backwards, again):
            totals[:] = found
        return totals

    @property
    def _lengths(self) -> list[int]:
        return list(map(len, self.texts))

    def _backwards(self, lengths: Sequence[int], *, budget: int) -> list[list[int]]:
        return self.cut(lengths, budget=budget)[::-1]


class _Again(torch.autograd.Function):
    """Keeps no results between reading and its gradients, but reads each piece again."""

    @staticmethod
    def forward(ctx: Any, reading: Reading[Any], order: list[int], *weights: nn.Parameter) -> Any:
        """Read, and write down the order."""
        ctx.set_materialize_grads(False)
        ctx.reading, ctx.order, ctx.weights = reading, order, weights
        with torch.enable_grad():  # some attention is computed otherwise without
            own, features, log_probs = reading.in_pieces()
        order += own
        return features, log_probs

    @staticmethod
    def backward(ctx: Any, *given: Tensor | None) -> Any:
        """Return the gradients of the weights."""
        return None, None, *ctx.reading.gradients(ctx.order, given, ctx.weights)
