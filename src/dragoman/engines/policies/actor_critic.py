"""Policies of the policy-gradient algorithms: an actor that draws, and a critic."""

from __future__ import annotations

from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Bernoulli, Categorical, Distribution, Normal

from dragoman.engines.policies.noise import Noise
from dragoman.engines.policies.policy import ModulePolicy, View
from dragoman.roles.act.policy import ActionPolicy

Drawn: TypeAlias = Distribution | list[Categorical]
"""Of several independent choices there is one distribution each."""


class Heads(nn.Module):
    """Features of an observation, and the actor and critic that stand on what is made of them.

    Args:
        features: Observations to features, for the actor.
        critic_features: The same for the critic; it may be the same module.
        actor: What the actor reads to its last hidden layer.
        action: That to logits, or to the means of continuous actions.
        critic: What the critic reads to its last hidden layer.
        value: That to a value ``(B, 1)``.
        actions: The (unbatched) action space.
        noise: Standard deviations of continuous actions.
    """

    def __init__(
        self,
        features: nn.Module,
        critic_features: nn.Module,
        actor: nn.Module,
        action: nn.Linear,
        critic: nn.Module,
        value: nn.Linear,
        actions: gym.Space[Any],
        noise: Noise | None,
    ) -> None:
        super().__init__()
        self.features = features
        self.critic_features = critic_features
        self.actor = actor
        self.action = action
        self.critic = critic
        self.value = value
        self.noise = noise
        self.actions = actions

    def inputs_of(self, read: Tensor) -> Tensor:
        """Return what `distribution` takes of what the actor reads ``(B, D)``."""
        latent = self.actor(read)
        result: Tensor = self.action(latent)
        if self.noise is not None:
            result = torch.cat([result, self.noise(result, latent)], dim=-1)
        return result

    def values_of(self, read: Tensor) -> Tensor:
        """Return values ``(B,)`` of what the critic reads ``(B, D)``."""
        values: Tensor = self.value(self.critic(read)).squeeze(-1)
        return values

    def distribution(self, inputs: Tensor) -> Drawn:
        """Return the distribution of actions, see `distribution_of`."""
        return distribution_of(self.actions, inputs)


class ActorCritic(Heads):
    """Actor and critic on the features of an observation."""

    def forward(self, observation: Any) -> tuple[Tensor, Tensor]:
        """Return what `distribution` takes, and values ``(B,)``."""
        return self.inputs_of(self.features(observation)), self.values(observation)

    def values(self, observation: Any) -> Tensor:
        """Return values ``(B,)`` alone."""
        return self.values_of(self.critic_features(observation))


def distribution_of(actions: gym.Space[Any], inputs: Tensor) -> Drawn:
    """Return the distribution of actions: of logits, or of means and standard deviations."""
    if isinstance(actions, Discrete):
        return Categorical(logits=inputs)
    if isinstance(actions, MultiDiscrete):
        sizes = actions.nvec.ravel().tolist()
        return [Categorical(logits=part) for part in torch.split(inputs, sizes, dim=1)]
    if isinstance(actions, MultiBinary):
        return Bernoulli(logits=inputs)
    mean, deviation = inputs.chunk(2, dim=-1)
    return Normal(mean, deviation)


def outputs(actions: gym.Space[Any]) -> int:
    """Return how many numbers an actor gives for an action."""
    if isinstance(actions, Discrete):
        return int(actions.n)
    if isinstance(actions, MultiDiscrete):
        return int(actions.nvec.sum())
    assert isinstance(actions, Box | MultiBinary)
    return int(np.prod(actions.shape))


class ActorCriticPolicy(ModulePolicy):
    """Plays an `ActorCritic`, or the `ActionPolicy` of the act role."""

    module: ActorCritic | ActionPolicy

    def choose(self, batch: Any, sampled: bool) -> Tensor:
        """Return actions, drawn or the likeliest."""
        return self.chosen(self.module.distribution(self.module(batch)[0]), sampled)

    def look(self, batch: Any, action: NDArray[Any]) -> View:
        """Return probabilities, or means and spreads, and the critic's value."""
        value = float(self.module.values(batch)[0])
        return self.viewed(value, self.module.distribution(self.module(batch)[0]))

    def chosen(self, result: Drawn, sampled: bool) -> Tensor:
        """Return what a distribution leads to."""
        if isinstance(result, list):
            return torch.stack([_one(part, sampled) for part in result], dim=1)
        chosen = _one(result, sampled)
        return torch.tanh(chosen) if self.squashes else chosen

    def viewed(self, value: float, result: Any) -> View:
        """Return what is to be seen of a value and a distribution."""
        if isinstance(result, Categorical | list):
            parts = result if isinstance(result, list) else [result]
            return View(value, tuple(tuple(part.probs[0].tolist()) for part in parts))
        if isinstance(result, Bernoulli):
            return View(value, tuple((1 - on, on) for on in result.probs[0].tolist()))
        means, spreads = result.mean[0].cpu().tolist(), result.stddev[0].cpu().tolist()
        return View(value, means=tuple(means), spreads=tuple(spreads))


def _one(found: Distribution, sampled: bool) -> Tensor:
    if sampled:
        return found.rsample() if isinstance(found, Normal) else found.sample()
    if isinstance(found, Categorical):
        return torch.argmax(found.probs, dim=1)
    return torch.round(found.probs) if isinstance(found, Bernoulli) else found.mean
