"""Standard deviations of continuous actions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEAST = 1e-6
"""Added to a variance that depends on the state."""


class Noise(nn.Module):
    """Standard deviations ``(B, A)``, the same in all states or growing with the features of one.

    Where they depend on the state, they are those of Raffin et al. 2021 ("Smooth exploration for
    robotic reinforcement learning"), in which each step draws for itself.

    Args:
        count: Numbers ``A`` of an action.
        latent: Features that they grow with; unless given, they depend on nothing.
        each: Each number of an action has deviations of its own.
        slow: Grow slower than the exponential function above one.
    """

    def __init__(
        self, count: int, latent: int | None = None, *, each: bool = True, slow: bool = False
    ) -> None:
        super().__init__()
        self.depends = latent is not None
        self.slow = slow
        shape = (count,) if latent is None else (latent, count if each else 1)
        self.log_std = nn.Parameter(torch.zeros(shape))

    def forward(self, means: Tensor, latent: Tensor) -> Tensor:
        """Return the standard deviations of actions with these means ``(B, A)``."""
        if not self.depends:
            return torch.ones_like(means) * self.log_std.exp()
        std = self.log_std.exp()
        if self.slow:
            slow = (self.log_std.clamp(min=0) + LEAST).log1p() + 1.0
            std = torch.where(self.log_std > 0, slow, std)
        variances = latent.detach() ** 2 @ std.expand(-1, means.shape[1]) ** 2
        return torch.sqrt(variances + LEAST)
