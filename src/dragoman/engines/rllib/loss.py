"""The loss of PPO as Stable-Baselines3 has it, on tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from dragoman.engines.rllib.settings import PPOSettings


@dataclass(frozen=True)
class Minibatch:
    """What is known of the steps of a minibatch, ``(B,)`` each.

    Attributes:
        log_probs: Of the actions, by the policy as it is now.
        old_log_probs: By the policy that has acted.
        advantages: As they were estimated, in units of the reward.
        values: By the critic as it is now.
        old_values: Before the update.
        returns: What the critic is to learn.
        entropies: Of the policy as it is now.
    """

    log_probs: Tensor
    old_log_probs: Tensor
    advantages: Tensor
    values: Tensor
    old_values: Tensor
    returns: Tensor
    entropies: Tensor


def ppo_loss(batch: Minibatch, settings: PPOSettings) -> tuple[Tensor, dict[str, float]]:
    """Return the loss, and columns of the metrics."""
    advantages = batch.advantages
    if settings.normalize_advantage and len(advantages) > 1:
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    log_ratios = batch.log_probs - batch.old_log_probs
    ratios = log_ratios.exp()
    clip = settings.clip_range
    clipped = ratios.clamp(1 - clip, 1 + clip)
    policy_loss = -torch.min(advantages * ratios, advantages * clipped).mean()
    values = batch.values
    if settings.clip_range_vf is not None:
        change = (values - batch.old_values).clamp(-settings.clip_range_vf, settings.clip_range_vf)
        values = batch.old_values + change
    value_loss = mse_loss(values, batch.returns)
    entropy_loss = -batch.entropies.mean()
    loss = policy_loss + settings.ent_coef * entropy_loss + settings.vf_coef * value_loss
    with torch.no_grad():
        columns = {
            "policy_gradient_loss": policy_loss,
            "value_loss": value_loss,
            "entropy_loss": entropy_loss,
            "approx_kl": ((ratios - 1) - log_ratios).mean(),
            "clip_fraction": ((ratios - 1).abs() > clip).float().mean(),
            "loss": loss,
        }
        return loss, {name: float(value) for name, value in columns.items()}


def summary(columns: Sequence[Mapping[str, float]], epochs: int) -> dict[str, float]:
    """Return one number a column of an update, as Stable-Baselines3 logs it.

    Args:
        columns: Those of each minibatch.
        epochs: How many epochs these are.
    """
    result = {name: fmean(column[name] for column in columns) for name in columns[0]}
    last = columns[-max(len(columns) // epochs, 1) :]
    result["approx_kl"] = fmean(item["approx_kl"] for item in last)
    result["loss"] = columns[-1]["loss"]
    return result
