"""A choice among the valid actions of a numbered set."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical


class MaskedCategorical(Categorical):
    """A categorical distribution in which invalid actions have probability exactly zero.

    Their logits become minus infinity before the softmax. They add nothing to the entropy, and
    no gradient, which stays finite, flows through them. A row in which nothing is valid is
    the end of an episode, where no action is taken: it is uniform, so that a batch may contain it.

    Args:
        logits: ``(B, K)``, finite where valid.
        is_admissible: bool ``(B, K)``.
    """

    def __init__(self, logits: Tensor, is_admissible: Tensor) -> None:
        is_over = ~is_admissible.any(dim=-1, keepdim=True)
        self.is_admissible = is_admissible | is_over
        logits = logits.masked_fill(is_over, 0.0)
        masked: Any = logits.masked_fill(~self.is_admissible, -torch.inf)
        super().__init__(logits=masked, validate_args=False)

    def entropy(self) -> Tensor:
        """Return the entropy ``(B,)`` in nats."""
        # 0 log 0 is 0, but 0 times minus infinity would be NaN, and so would its gradient.
        log_probs = self.logits.masked_fill(~self.is_admissible, 0.0)
        return -(log_probs.exp() * log_probs * self.is_admissible).sum(dim=-1)
