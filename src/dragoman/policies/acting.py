"""The policy over named actions as one module, for any training library.

    policy = make_policy(settings, observation_space, action_space, hidden=(64, 64))
    inputs, values = policy(observation)        # a dictionary of tensors, batched
    distribution = policy.distribution(inputs)  # of torch.distributions

It reads what `dragoman.roles.options.OptionsObserver` returns and looks at nothing else, so a
rollout and the update after it see the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from dragoman.policies.actors import (
    ConcatActor,
    DotActor,
    HeadActor,
    HybridActor,
    Observation,
    ScoreActor,
)
from dragoman.policies.embedding import TokenEmbedding
from dragoman.policies.masking import MaskedCategorical
from dragoman.policies.networks import mlp
from dragoman.roles.act import Act
from dragoman.roles.embedding import OptionTokenSpace, TokenSpace


class ActionPolicy(nn.Module):
    """Actor and critic on one state.

    Args:
        reader: Turns the observation's ``state`` into features ``(B, D)``.
        actor: State and observation to logits ``(B, K)``, or to means of continuous actions.
        critic: State to a value ``(B, 1)``.
        log_std: Logarithms of the standard deviations of continuous actions, if they are.
    """

    def __init__(
        self,
        reader: nn.Module,
        actor: nn.Module,
        critic: nn.Module,
        log_std: nn.Parameter | None = None,
    ) -> None:
        super().__init__()
        self.reader = reader
        self.actor = actor
        self.critic = critic
        self.log_std = log_std

    def forward(self, observation: Observation) -> tuple[Tensor, Tensor]:
        """Return what `distribution` takes ``(B, 2 K)``, and values ``(B,)``.

        Of named actions these are ``K`` logits and, beside them, which are admissible; of
        continuous actions ``K`` means and logarithms of standard deviations.
        """
        state = self.reader(observation["state"])
        found = self.actor(state, observation)
        beside = observation["mask"] if self.log_std is None else self.log_std.expand_as(found)
        return torch.cat([found, beside.to(found.dtype)], dim=-1), self.critic(state).squeeze(-1)

    def values(self, observation: Observation) -> Tensor:
        """Return values ``(B,)`` alone, without looking at the actions."""
        values: Tensor = self.critic(self.reader(observation["state"])).squeeze(-1)
        return values

    def distribution(self, inputs: Tensor) -> Distribution:
        """Return the distribution of actions, of a batch of shape ``(B,)`` or ``(B, K)``."""
        first, second = inputs.chunk(2, dim=-1)
        if self.log_std is None:
            return MaskedCategorical(first, second > 0)
        normal: Distribution = Normal(first, second.exp(), validate_args=False)
        return normal


def make_policy(
    settings: Act,
    observations: gym.spaces.Dict,
    actions: gym.Space[Any],
    hidden: Sequence[int] = (64, 64),
) -> ActionPolicy:
    """Return the untrained policy of the act role.

    Args:
        settings: The act role.
        observations: What its observer returns.
        actions: The (unbatched) action space: Discrete, or Box for a head.
        hidden: Units of the hidden layers of actor and critic.
    """
    space = observations["state"]
    reader = TokenEmbedding(space) if isinstance(space, TokenSpace) else nn.Flatten()
    width = reader.features_dim if isinstance(reader, TokenEmbedding) else _size(space)
    critic = mlp(width, hidden, 1)
    if not isinstance(actions, gym.spaces.Discrete):
        size = _size(actions)
        log_std = nn.Parameter(torch.zeros(size))
        return ActionPolicy(reader, HeadActor(width, size, hidden), critic, log_std)

    def make_actor(name: str) -> nn.Module:
        if name == "head":
            return HeadActor(width, int(actions.n), hidden)
        if name == "match":
            return _make_match(settings, observations["actions"], width, hidden, reader)
        prior = ScoreActor(settings.temperature, settings.learn_temperature)
        if name == "score":
            return prior
        return HybridActor(make_actor(settings.base), prior, settings.weight)

    return ActionPolicy(reader, make_actor(settings.policy), critic)


def _make_match(
    settings: Act,
    space: gym.Space[Any],
    width: int,
    hidden: Sequence[int],
    reader: nn.Module,
) -> nn.Module:
    action_reader = None
    if isinstance(space, OptionTokenSpace):
        # A word means one thing, in an observation and in an action.
        shared = reader.rows if isinstance(reader, TokenEmbedding) else None
        action_reader = TokenEmbedding(space.each, shared)
        action_width = action_reader.features_dim
    else:
        assert space.shape is not None
        action_width = space.shape[-1]
    kind = {"concat": ConcatActor, "dot": DotActor}[settings.interaction]
    return kind(width, action_width, hidden or (64,), action_reader)


def _size(space: gym.Space[Any]) -> int:
    assert space.shape is not None
    return int(np.prod(space.shape))
