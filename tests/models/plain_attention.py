"""PyTorch's attention over segments, written plainly: what a GPU's kernel must give."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def varlen_attn(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seq_q: Tensor,
    cu_seq_k: Tensor,
    max_q: int,
    max_k: int,
    *,
    scale: float | None = None,
    window_size: tuple[int, int] = (-1, -1),
    enable_gqa: bool = False,
) -> Tensor:
    """One segment after the other; arguments as in `torch.nn.attention.varlen`."""
    spans = zip(pairwise(cu_seq_q.tolist()), pairwise(cu_seq_k.tolist()), strict=True)
    before, after = window_size
    parts = []
    for (begin, end), (first, last) in spans:
        assert end - begin <= max_q
        assert last - first <= max_k
        if begin == end:
            continue
        # The last query stands beside the last key.
        places = torch.arange(last - first)
        own = places[len(places) - (end - begin) :, None]
        sees = places <= own + (after if after >= 0 else len(places))
        if before >= 0:
            sees &= places >= own - before
        q, k, v = (
            each.transpose(0, 1)[None]
            for each in (query[begin:end], key[first:last], value[first:last])
        )
        part = scaled_dot_product_attention(q, k, v, sees, scale=scale, enable_gqa=enable_gqa)
        parts.append(part[0].transpose(0, 1))
    return torch.cat(parts)
