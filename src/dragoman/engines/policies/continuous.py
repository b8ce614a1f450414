"""Policies of SAC and TD3: an actor between -1 and 1, and critics of states and actions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Normal

from dragoman.engines.policies.noise import Noise
from dragoman.engines.policies.policy import ModulePolicy, View, scaled, unscaled

QUADRATURE_NODES = 64
LOG_STD = (-20.0, 2.0)
"""Least and largest logarithm of a standard deviation that a network gives."""


class ContinuousActor(nn.Module):
    """An actor of continuous actions, and critics.

    Args:
        features: Observations to features, for the actor.
        critic_features: The same for the critics.
        actor: Features to its last hidden layer.
        mean: That to means, before they are squashed.
        log_std: That to logarithms of standard deviations, or what gives them otherwise; nothing
            where nothing is drawn.
        critics: Features and action side by side to a value, each.
        largest: Means are cut there.
    """

    def __init__(
        self,
        features: nn.Module,
        critic_features: nn.Module,
        actor: nn.Module,
        mean: nn.Linear,
        log_std: nn.Linear | Noise | None,
        critics: Sequence[nn.Module],
        largest: float | None = None,
    ) -> None:
        super().__init__()
        self.features = features
        self.critic_features = critic_features
        self.actor = actor
        self.mean = mean
        self.log_std = log_std
        self.critics = nn.ModuleList(critics)
        self.largest = largest

    def forward(self, observation: Any) -> tuple[Tensor, Tensor | None]:
        """Return means and standard deviations ``(B, A)`` before they are squashed."""
        latent = self.actor(self.features(observation))
        means = self.mean(latent)
        if self.largest is not None:
            means = means.clamp(-self.largest, self.largest)
        if self.log_std is None:
            return means, None
        if isinstance(self.log_std, Noise):
            return means, self.log_std(means, latent)
        return means, self.log_std(latent).clamp(*LOG_STD).exp()

    def values(self, observation: Any, actions: Tensor) -> Tensor:
        """Return the values ``(B, critics)`` of actions between -1 and 1."""
        inputs = torch.cat([self.critic_features(observation), actions], dim=1)
        return torch.cat([critic(inputs) for critic in self.critics], dim=1)


class ContinuousPolicy(ModulePolicy):
    """Plays a `ContinuousActor`."""

    module: ContinuousActor

    def choose(self, batch: Any, sampled: bool) -> Tensor:
        """Return actions between -1 and 1."""
        means, deviations = self.module(batch)
        if sampled and deviations is not None:
            means = Normal(means, deviations).rsample()
        return torch.tanh(means)

    def look(self, batch: Any, action: NDArray[Any]) -> View:
        """Return means, spreads, and the least value that a critic gives the action."""
        space = self.actions
        assert isinstance(space, gym.spaces.Box)
        tried = torch.as_tensor(scaled(space, action), device=self.device)[None]
        value = float(self.module.values(batch, tried.flatten(1)).min())
        location, deviations = self.module(batch)
        if deviations is None:
            means = torch.tanh(location)[0].cpu().numpy()
            spreads = np.zeros_like(means)
        else:
            means, spreads = squashed_moments(
                location[0].cpu().numpy(), deviations[0].cpu().numpy()
            )
        half = (space.high - space.low).ravel() / 2
        centres = unscaled(space, means.astype(space.dtype).reshape(space.shape)).ravel()
        return View(value, means=tuple(centres.tolist()), spreads=tuple((spreads * half).tolist()))


def squashed_moments(
    location: NDArray[Any], scale: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of ``tanh(x)`` for normal ``x``, by Gauss-Hermite rule.

    Args:
        location: Means of ``x``, ``(A,)``.
        scale: Standard deviations of ``x``, ``(A,)``.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(QUADRATURE_NODES)
    weights = weights / weights.sum()
    values = np.tanh(location + np.outer(nodes, scale))
    means = weights @ values
    return means, np.sqrt(weights @ (values - means) ** 2)
