"""The policy over named actions as one module, for any training library.

    policy = make_policy(settings, observation_space, action_space, hidden=(64, 64))
    inputs, values = policy(observation)        # a dictionary of tensors, batched
    distribution = policy.distribution(inputs)  # of torch.distributions

It reads what `dragoman.roles.act.observer.OptionsObserver` returns and looks at nothing else, so a
rollout and the update after it see the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from dragoman.errors import ConfigError
from dragoman.roles.act.actors import (
    ConcatActor,
    DotActor,
    HeadActor,
    HybridActor,
    Observation,
    ScoreActor,
)
from dragoman.roles.act.masked import MaskedCategorical
from dragoman.roles.act.networks import mlp
from dragoman.roles.act.penalty import divergence
from dragoman.roles.act.readers import StateReader, TunedReader, size_of
from dragoman.roles.act.settings import Act
from dragoman.roles.act.written import WrittenPolicy
from dragoman.types import Pooling

if TYPE_CHECKING:
    from dragoman.models.torch_model import TorchModel
    from dragoman.models.tuned import TunedModel


class ActionPolicy(nn.Module):
    """Actor and critic on what a reader makes of an observation.

    Args:
        reader: Observation to the states of actor and critic.
        actor: State and observation to logits ``(B, K)``, or to means of continuous actions.
        critic: State to a value ``(B, 1)``.
        log_std: Logarithms of the standard deviations of continuous actions, if they are.
    """

    def __init__(
        self,
        reader: StateReader | TunedReader,
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

        Of named actions these are ``K`` logits and, beside them, which are valid; of
        continuous actions ``K`` means and logarithms of standard deviations.
        """
        state, critic_state, observation = self.reader(observation)
        result = self.actor(state, observation)
        beside = observation["mask"] if self.log_std is None else self.log_std.expand_as(result)
        inputs = torch.cat([result, beside.to(result.dtype)], dim=-1)
        return inputs, self.critic(critic_state).squeeze(-1)

    def values(self, observation: Observation) -> Tensor:
        """Return values ``(B,)`` alone, without looking at the actions."""
        values: Tensor = self.critic(self.reader.critic_state(observation)).squeeze(-1)
        return values

    def divergence(self, inputs: Tensor, observation: Observation, temperature: float) -> Tensor:
        """Return the divergence ``(B,)`` of the policy from that of the untrained model.

        Args:
            inputs: What `forward` returned.
            observation: With the untrained model's ``scores``.
            temperature: What these are divided by.
        """
        logits = observation["scores"] / temperature
        reference = MaskedCategorical(logits, observation["mask"] > 0)
        ours = self.distribution(inputs)
        assert isinstance(ours, MaskedCategorical)
        return divergence(ours, reference)

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
    *,
    model: TorchModel | None = None,
    pooling: tuple[Pooling, ...] = ("last",),
) -> ActionPolicy | WrittenPolicy:
    """Return the untrained policy of the act role.

    Args:
        settings: The act role.
        observations: What its observer returns.
        actions: The (unbatched) action space: Discrete, or Box for a head.
        hidden: Units of the hidden layers of actor and critic.
        model: The language model, where it is to be trained.
        pooling: What becomes of the hidden states of a prompt, where it is to be trained.
    """
    reader: StateReader | TunedReader
    if settings.tune is None:
        reader = StateReader(observations["state"])
    else:
        reader = TunedReader(_tuned(settings, model), settings, pooling, observations)
    critic = mlp(reader.critic_width, hidden, 1)
    if settings.writes_tokens:
        assert isinstance(reader, TunedReader)
        if reader.model.inner.is_seq2seq:
            raise ConfigError(
                f"act.constrain is {settings.constrain!r}, but {reader.model.inner.name!r} is an "
                "encoder-decoder model, which writes apart from what it reads",
                cure="name a causal model, or set act.constrain to 'texts'",
            )
        return WrittenPolicy(reader, critic, settings)
    if not isinstance(actions, gym.spaces.Discrete):
        size = size_of(actions)
        log_std = nn.Parameter(torch.zeros(size))
        return ActionPolicy(reader, HeadActor(reader.width, size, hidden), critic, log_std)

    def make_actor(name: str) -> nn.Module:
        if name == "head":
            return HeadActor(reader.width, int(actions.n), hidden)
        if name == "match":
            return _make_match(settings, observations, reader, hidden)
        learns = settings.learn_temperature and name != "write"
        prior = ScoreActor(settings.temperature, learns)
        if name in ("score", "write"):
            return prior
        return HybridActor(make_actor(settings.base), prior, settings.weight)

    return ActionPolicy(reader, make_actor(settings.policy), critic)


def _tuned(settings: Act, model: TorchModel | None) -> TunedModel:
    tune = settings.tune
    assert tune is not None
    if model is None:
        raise ConfigError(
            "act.tune is set, but there is no model whose weights can be trained here",
            cure="name a model of Transformers, or leave act.tune out",
        )
    # With Transformers, which takes seconds to import.
    from dragoman.models.tuned import TunedModel

    return TunedModel(
        model,
        how=tune.how,
        rank=tune.rank,
        alpha=tune.alpha,
        modules=tune.modules,
        top=tune.top,
        tokens=tune.tokens,
        keep_bytes=tune.keep_bytes,
    )


def _make_match(
    settings: Act,
    observations: gym.spaces.Dict,
    reader: StateReader | TunedReader,
    hidden: Sequence[int],
) -> nn.Module:
    if isinstance(reader, TunedReader):
        action_width = len(settings.pooling) * reader.model.inner.hidden_size
    else:
        space = observations["actions"]
        assert space.shape is not None
        action_width = space.shape[-1]
    kind = {"concat": ConcatActor, "dot": DotActor}[settings.interaction]
    return kind(reader.width, action_width, hidden or (64,))
