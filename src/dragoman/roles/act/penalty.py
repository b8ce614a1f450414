"""A divergence from the untrained policy, added to whatever loss an algorithm has."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from dragoman.roles.act.masked import MaskedCategorical


def divergence(policy: MaskedCategorical, reference: MaskedCategorical) -> Tensor:
    """Return the Kullback-Leibler divergence ``(B,)`` of a policy from another, in nats."""
    is_admissible = policy.is_admissible
    ours = policy.logits.masked_fill(~is_admissible, 0.0)
    theirs = reference.logits.masked_fill(~is_admissible, 0.0)
    return (ours.exp() * (ours - theirs) * is_admissible).sum(dim=-1)


def with_penalty(carrier: Tensor, penalty: Tensor) -> Tensor:
    """Return the carrier as it is; whatever loss is made of it has the penalty's gradient too.

    An algorithm's loss is its own. What goes through it backwards passes the carrier once, and
    there the gradient of the penalty joins.

    Args:
        carrier: Something that the loss is made of, such as values ``(B,)``.
        penalty: A scalar.
    """
    carried: Tensor = _Penalty.apply(carrier, penalty)  # type: ignore[no-untyped-call]
    return carried


class _Penalty(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, carrier: Tensor, penalty: Tensor) -> Tensor:
        return carrier.view_as(carrier)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Any) -> Any:
        (gradient,) = gradients
        return gradient, torch.ones((), device=gradient.device)
