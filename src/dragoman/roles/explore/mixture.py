"""A policy mixed with a prior for play, and the weights that make its steps the policy's own.

Play is drawn from μ = (1 - ε) π + ε p. What is estimated of π from such steps is weighted with

    w = π(a|s) / μ(a|s) ≤ 1 / (1 - ε)

so that the weights, of mean 1, need no cut: what V-trace (Espeholt and others, 2018) cuts off to
keep the variance small is bounded here by construction.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from dragoman.roles.act.masked import MaskedCategorical
from dragoman.roles.explore.action_prior import PRIOR

WEIGHT = "importance"
"""Key under which an engine keeps the weight of each step that a prior took part in."""


def prior_of(observation: Any) -> MaskedCategorical:
    """Return the prior that a batch of observations holds."""
    return MaskedCategorical(observation[PRIOR], observation["mask"] > 0)


def mixture_of(
    policy: MaskedCategorical, prior: MaskedCategorical, share: float
) -> MaskedCategorical:
    """Return what play is drawn from.

    Args:
        policy: π.
        prior: p.
        share: ε.
    """
    return MaskedCategorical(mixed(policy.logits, prior.logits, share), policy.is_admissible)


def mixed(policy: Tensor, prior: Tensor, share: float) -> Tensor:
    """Return log μ of log-probs π and p, of any shape.

    Args:
        policy: log π.
        prior: log p.
        share: ε.
    """
    if share == 0.0:
        return policy
    return torch.logaddexp(math.log1p(-share) + policy, math.log(share) + prior)


def importance(policy: Tensor, prior: Tensor, share: float) -> Tensor:
    """Return the weights w of actions by their log-probs under π and p, of any shape.

    >>> importance(torch.zeros(1), torch.full((1,), -math.inf), 0.5).tolist()
    [2.0]
    """
    return (policy - mixed(policy, prior, share)).exp()


def weighed(log_probs: Tensor, weights: Tensor) -> Tensor:
    """Return log-probs as they are, whose gradient is multiplied by the weights.

    A loss that is a sum over steps has the gradient of the weighted sum, whatever it does with
    the log-prob of a step.

    Args:
        log_probs: ``(B,)``.
        weights: ``(B,)``.
    """
    result: Tensor = _Weighed.apply(log_probs, weights)  # type: ignore[no-untyped-call]
    return result


class _Weighed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, log_probs: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(weights)
        return log_probs.view_as(log_probs)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (gradient,), (weights,) = gradients, ctx.saved_tensors
        return gradient * weights, None


def advantages(
    rewards: Tensor,
    values: Tensor,
    after: Tensor,
    goes_on: Tensor,
    weights: Tensor,
    discount: float,
    trace: float,
    carries: Tensor | None = None,
) -> Tensor:
    """Return advantages under π of steps that were played by μ, ``(T, N)``.

        A_t = δ_t + γ λ w_{t+1} A_{t+1},    δ_t = r_t + γ V(s_{t+1}) - V(s_t)

    Generalised advantage estimation where all weights are 1. Targets of the values are
    V(s_t) + w_t A_t.

    Args:
        rewards: ``(T, N)``.
        values: V(s_t), ``(T, N)``.
        after: V of the state that follows the last step, ``(N,)``.
        goes_on: 0 where an episode ends with the step, else 1, ``(T, N)``.
        weights: w_t, ``(T, N)``.
        discount: γ.
        trace: λ.
        carries: 0 where the advantage of the next row is not one of the same episode, though the
            value of its state is known, else 1, ``(T, N)``; as ``goes_on`` by default.
    """
    carries = goes_on if carries is None else carries
    result = torch.zeros_like(rewards)
    following = torch.cat([values[1:], after.unsqueeze(0)])
    carried = torch.zeros_like(after)
    for t in reversed(range(len(rewards))):
        delta = rewards[t] + discount * goes_on[t] * following[t] - values[t]
        result[t] = delta + discount * trace * carries[t] * carried
        carried = weights[t] * result[t]
    return result
