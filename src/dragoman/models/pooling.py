"""From the hidden states of a text's tokens to one vector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dragoman.errors import ModelError
from dragoman.models.device import bring
from dragoman.models.packed import Ints
from dragoman.models.prefix import Prefix
from dragoman.types import Pooling


def _last(hidden: Tensor, is_real: Tensor, prefix: Prefix | None) -> Tensor:
    return hidden[torch.arange(len(hidden), device=hidden.device), is_real.sum(dim=1) - 1]


def _mean(hidden: Tensor, is_real: Tensor, prefix: Prefix | None) -> Tensor:
    total = (hidden * is_real.unsqueeze(-1)).sum(dim=1)
    count = is_real.sum(dim=1, keepdim=True)
    if prefix is None:
        return total / count
    return (total + prefix.hidden.sum(dim=0)) / (count + len(prefix))


def _first(hidden: Tensor, is_real: Tensor, prefix: Prefix | None) -> Tensor:
    return hidden[:, 0] if prefix is None else prefix.hidden[:1].expand(len(hidden), -1)


POOLINGS = {"last": _last, "mean": _mean, "first": _first}
"""Hidden states ``(B, T, H)``, which are real ``(B, T)`` and their shared head, to ``(B, H)``."""


def pool(
    hidden: Tensor, is_real: Tensor, pooling: Sequence[Pooling], prefix: Prefix | None = None
) -> Tensor:
    """Return poolings side by side, ``(B, len(pooling) * H)``.

    Args:
        hidden: Hidden states in float32, ``(B, T, H)``.
        is_real: Which of them are of the text, ``(B, T)``; all others stand behind these.
        pooling: The poolings.
        prefix: What all texts begin with, if that stands apart.
    """
    return torch.cat([POOLINGS[name](hidden, is_real, prefix) for name in pooling], dim=1)


def pool_rows(
    hidden: Tensor, starts: Ints, pooling: Sequence[Pooling], prefix: Prefix | None = None
) -> Tensor:
    """Return the same of texts whose tokens stand behind each other, without waiting for them.

    Args:
        hidden: Hidden states ``(T, H)`` in any precision.
        starts: Where each text begins, and the last one ends ``(B + 1,)``.
        pooling: The poolings.
        prefix: What all texts begin with, if that stands apart.
    """
    count, lengths = len(starts) - 1, np.diff(starts)

    def one(name: Pooling) -> Tensor:
        if name == "last":
            return hidden[bring(starts[1:] - 1, hidden.device)].float()
        if name == "first" and prefix is not None:
            return prefix.hidden[:1].expand(count, -1)
        if name == "first":
            return hidden[bring(starts[:-1], hidden.device)].float()
        counts = bring(lengths, hidden.device).unsqueeze(1)
        owners = bring(np.repeat(np.arange(count), lengths), hidden.device)
        total = hidden.new_zeros(count, hidden.shape[1], dtype=torch.float32)
        total.index_add_(0, owners, hidden[: len(owners)].float())
        if prefix is None:
            return total / counts
        return (total + prefix.hidden.sum(dim=0)) / (counts + len(prefix))

    return torch.cat([one(name) for name in pooling], dim=1)


def check_states(hidden: Tensor, shape: tuple[int, ...], name: str) -> None:
    """Check that hidden states have the shape ``(B, T, H)``, as not all layers of all models do."""
    if hidden.shape != shape:
        raise ModelError(
            f"a layer of {name!r} holds numbers of shape {tuple(hidden.shape)} for {shape[0]} "
            f"texts of {shape[1]} tokens, not {shape[2]} a token",
            cure="leave layer unset, or choose another, such as -2",
        )
