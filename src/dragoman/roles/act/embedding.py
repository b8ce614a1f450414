"""A table of token embeddings as the first layer of a policy."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dragoman.roles.observe.embedding import ROWS, TokenSpace


class TokenEmbedding(nn.Module):
    """Rows of a learned table, weighted by learned places, pooled over the tokens of a text.

    The mean over tokens alone would read "row 0, column 1" and "row 1, column 0" as one text. So
    each token's row is multiplied, element by element, by a vector that belongs to its place:
    ``m = mean_j p_j * e(w_j)``, the position encoding of Sukhbaatar et al. 2015 ("End-to-end
    memory networks", section 4.1) with places that are learned. Row and place start from a
    normal distribution of variance one.

    Args:
        observation_space: What a `dragoman.roles.observe.embedding.TokenObserver` returns.
        rows: A table to share with another reader, instead of a new one.

    Attributes:
        features_dim: Number of features ``D``, as Stable-Baselines3 calls it.
    """

    def __init__(self, observation_space: TokenSpace, rows: nn.Embedding | None = None) -> None:
        super().__init__()
        space = observation_space
        self.features_dim = len(space.pooling) * space.width + space.raw
        self.length = space.length
        self.pooling = space.pooling
        self.rows = nn.Embedding(ROWS, space.width) if rows is None else rows
        self.places = nn.Embedding(space.length, space.width)

    def forward(self, observations: Tensor) -> Tensor:
        """Return features ``(B, D)`` of padded rows and raw values ``(B, T + raw)``."""
        tokens, raw = observations[:, : self.length].long(), observations[:, self.length :]
        is_real = tokens >= 0
        counts = is_real.sum(dim=1)
        longest = max(int(counts.max()), 1)  # what is padding in every row costs nothing
        tokens, is_real = tokens[:, :longest], is_real[:, :longest, None]
        places = self.places.weight[:longest]
        hidden = self.rows(tokens.clamp(min=0)) * places * is_real  # (B, T, H)
        ends = torch.arange(len(hidden)), (counts - 1).clamp(min=0)
        pooled = {
            "first": lambda: hidden[:, 0],
            "last": lambda: hidden[ends],
            "mean": lambda: hidden.sum(dim=1) / counts.clamp(min=1)[:, None].sqrt(),
        }
        return torch.cat([*(pooled[name]() for name in self.pooling), raw], dim=1)
