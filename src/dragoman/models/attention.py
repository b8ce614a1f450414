"""Attention within the segments of a packed row, as Transformers' models call it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from transformers import AttentionInterface

from dragoman.models.packed import Numbers, Shape

NAME = "dragoman_packed"
"""What Transformers knows this attention by; without a mask of that name it makes none."""


KeysValues: TypeAlias = list[tuple[Tensor, Tensor]]
"""What the tokens before have left for attention: one ``(B, heads, T, size)`` pair a block."""


def expand(keys_values: KeysValues, rows: int) -> KeysValues:
    """Return keys and values of one row as of many, without copying them."""
    return [(k.expand(rows, -1, -1, -1), v.expand(rows, -1, -1, -1)) for k, v in keys_values]


@dataclass(frozen=True)
class Segments:
    """What attention has to know of a packed row.

    Attributes:
        numbers: The tensors of the row.
        shape: Its sizes.
        head: Keys and values of the shared head, of one row, where there is one.
    """

    numbers: Numbers
    shape: Shape
    head: KeysValues | None


def _find_kernel() -> tuple[Callable[..., Tensor] | None, dict[str, bool]]:
    """Return PyTorch's attention over segments, which it has since 2.11, and what it must hear."""
    try:
        from torch.nn.attention import varlen
    except ImportError:
        return None, {}
    kernel: Any = varlen.varlen_attn
    known = inspect.signature(kernel).parameters
    if "window_size" not in known or "scale" not in known:
        return None, {}  # of 2.10
    # Later ones want to hear that keys may have fewer heads than queries.
    return kernel, {"enable_gqa": True} if "enable_gqa" in known else {}


_kernel, _GROUPED = _find_kernel()


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    segments: Segments | None = None,
    sliding_window: int | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Return the attention of each token to the keys of its segment.

    Args:
        module: A block's attention, which knows its ``layer_idx``.
        query: ``(1, heads, T, size)``.
        key: The same of the tokens themselves, maybe of fewer heads.
        value: The same.
        attention_mask: None: what a token sees follows from its segment.
        scaling: Factor of the scores.
        segments: The row, which `Stack.run` hands to the model, and the model to here.
        sliding_window: Most tokens that a token sees.
        others: What else an architecture asks for, of which all but dropout is refused.

    Returns:
        ``(1, T, heads, size)``.

    Raises:
        NotImplementedError: An architecture hands no segments on, or asks for more.
    """
    more = [name for name in ("softcap", "s_aux", "position_bias") if others.get(name) is not None]
    if segments is None or more or _kernel is None:
        raise NotImplementedError(f"no attention over segments, asked for with {sorted(others)}")
    query, key, value = (each[0].transpose(0, 1) for each in (query, key, value))
    if segments.head:
        keys, values = (each[0].transpose(0, 1) for each in segments.head[module.layer_idx])
        key, value = torch.cat([keys, key]), torch.cat([values, value])
    numbers, shape = segments.numbers, segments.shape
    if shape.seen:
        key, value = key.index_select(0, numbers.seen), value.index_select(0, numbers.seen)
    result = _kernel(
        query.contiguous(),
        key.contiguous(),
        value.contiguous(),
        numbers.queries,
        numbers.keys,
        shape.longest,
        shape.most_seen,
        scale=scaling,
        # Positions before and after a token, itself not among them: causal, in a window or not.
        window_size=(-1 if sliding_window is None else sliding_window - 1, 0),
        **_GROUPED,
    )
    return result.unsqueeze(0), None


@contextmanager
def attending(config: Any) -> Iterator[None]:
    """Let a model of Transformers attend within segments."""
    usual = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = usual


AttentionInterface.register(NAME, attend)
