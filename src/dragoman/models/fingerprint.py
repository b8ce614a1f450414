"""A digest of everything that decides a model's answers."""

from __future__ import annotations

import hashlib
from typing import Any

import torch

from dragoman.models.tokens import Tokens


def fingerprint(model: Any, tokens: Tokens) -> str:
    """Return a digest of weights, precision, configuration and tokenizer, as hexadecimal.

    Where the model was loaded from does not count, so a copy has the same fingerprint.

    Args:
        model: A model of Transformers.
        tokens: Its tokenizer.
    """
    digest = hashlib.blake2b(digest_size=16)
    config = model.config.to_diff_dict()
    for about_loading in ("_name_or_path", "transformers_version"):
        config.pop(about_loading, None)
    digest.update(repr((type(model).__name__, sorted(config.items(), key=str))).encode())
    digest.update(tokens.definition().encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
