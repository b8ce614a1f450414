"""A digest of everything that decides a model's answers."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import torch

from dragoman.models.tokens import Tokens
from dragoman.models.weights import adapter_states

DIGESTS = 8
"""Kept at a time: of a model whose adapters are turned on and off, for example."""


class Digests:
    """Digests that are taken once, as long as what they are of bears the same mark."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, str] = OrderedDict()

    def of(self, mark: Hashable, take: Callable[[], str]) -> str:
        """Return the digest of what bears a mark."""
        if mark not in self._kept:
            self._kept[mark] = take()
            if len(self._kept) > DIGESTS:
                self._kept.popitem(last=False)
        return self._kept[mark]

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()


def fingerprint(model: Any, tokens: Tokens) -> str:
    """Return a digest of everything in a model that decides its answers, as hexadecimal.

    That is weights, precision, configuration, tokenizer, how attention is computed, which tokens
    end a text, and which adapters take part and how much. Where the model was loaded from does
    not count, so a copy has the same fingerprint.

    Args:
        model: A model of Transformers.
        tokens: Its tokenizer.
    """
    digest = hashlib.blake2b(digest_size=16)
    config = model.config.to_diff_dict()
    for about_loading in ("_name_or_path", "transformers_version"):
        config.pop(about_loading, None)
    digest.update(repr((type(model).__name__, sorted(config.items(), key=str))).encode())
    attention = getattr(model.config, "_attn_implementation", None)
    digest.update(repr((attention, end_tokens(model, tokens), adapter_states(model))).encode())
    digest.update(tokens.definition().encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def weights_fingerprint(model: Any) -> str:
    """Return a digest of a model's weights alone, as hexadecimal.

    Numbers count as bfloat16 rounds them: so it is the same on machines that compute in bfloat16
    and in float32, and a training that has touched the weights still shows.

    Args:
        model: A model of Transformers.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(model.state_dict().items()):
        own = tensor.detach().to(torch.bfloat16) if tensor.is_floating_point() else tensor.detach()
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(own.cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def end_tokens(model: Any, tokens: Tokens) -> tuple[int, ...]:
    """Return the tokens that end a text: those of the model's settings, or the tokenizer's."""
    settings = getattr(model, "generation_config", None)
    ends = getattr(settings, "eos_token_id", None)
    if ends is None:
        ends = tokens.end
    return () if ends is None else tuple(ends) if isinstance(ends, list) else (int(ends),)
