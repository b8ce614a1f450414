"""What the guide role adds to an algorithm of Stable-Baselines3."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from stable_baselines3.common.buffers import DictRolloutBuffer
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import Tensor

from dragoman.engines.sb3.rollouts import WholeA2C, WholePPO
from dragoman.roles.explore.action_prior import PRIOR
from dragoman.roles.explore.guide import Guide
from dragoman.roles.explore.mixture import WEIGHT, advantages, importance


class WeightedBuffer(DictRolloutBuffer):
    """A rollout that was played with a share of the prior, and is weighed as the policy's own.

    Attributes:
        share: The share ε of the prior.
    """

    share: float = 0.0

    def compute_returns_and_advantage(self, last_values: Tensor, dones: np.ndarray) -> None:
        """Compute advantages under the policy; the weights go into what the policy sees."""
        chosen = torch.as_tensor(self.actions, dtype=torch.int64)
        prior = torch.as_tensor(self.observations[PRIOR]).gather(-1, chosen).squeeze(-1)
        weights = importance(torch.as_tensor(self.log_probs), prior, self.share)
        self.observations[WEIGHT] = weights.unsqueeze(-1).numpy()
        goes_on = 1.0 - np.concatenate([self.episode_starts[1:], dones[None]]).astype(np.float32)
        result = advantages(
            torch.as_tensor(self.rewards),
            torch.as_tensor(self.values),
            last_values.detach().cpu().flatten(),
            torch.as_tensor(goes_on),
            weights,
            self.gamma,
            self.gae_lambda,
        )
        self.advantages = result.numpy()
        self.returns = self.values + (weights * result).numpy()


class Guided(OnPolicyAlgorithm):
    """An algorithm that a prior guides. Mix it in before an on-policy algorithm."""

    guide: Guide
    policy: Any

    def collect_rollouts(self, *arguments: Any, **named: Any) -> bool:
        """Play, by the weight that the guide has when the rollout begins."""
        weight = self.guide.weight_at(self.num_timesteps)
        self.policy.guide_weight = weight
        if isinstance(self.rollout_buffer, WeightedBuffer):
            self.rollout_buffer.share = weight
        return super().collect_rollouts(*arguments, **named)

    def train(self) -> None:
        """Update, and say how far the policy is from the prior."""
        weights = self.rollout_buffer.observations.get(WEIGHT)  # type: ignore[attr-defined]
        if weights is not None:
            self.logger.record("guide/importance_max", float(weights.max()))
            self.logger.record("guide/importance_mean", float(weights.mean()))
        super().train()
        if self.policy.last_divergence is not None:
            self.logger.record("guide/kl", self.policy.last_divergence)


class GuidedPPO(Guided, WholePPO):
    """PPO that a prior guides."""


class GuidedA2C(Guided, WholeA2C):
    """A2C that a prior guides."""


GUIDED: dict[str, type[Guided]] = {"ppo": GuidedPPO, "a2c": GuidedA2C}
