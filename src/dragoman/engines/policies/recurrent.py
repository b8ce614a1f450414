"""The policy of recurrent PPO: an actor and a critic that remember what was seen before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dragoman.engines.policies.actor_critic import ActorCriticPolicy, Drawn, distribution_of
from dragoman.engines.policies.noise import Noise
from dragoman.engines.policies.policy import View


class RecurrentActorCritic(nn.Module):
    """Actor and critic on what LSTMs have made of all observations of an episode.

    Args:
        features: Observations to features, for the actor.
        critic_features: The same for the critic; it may be the same module.
        memory: The actor's LSTM, on these features.
        critic_memory: The critic's LSTM, a layer without memory, or nothing where the critic reads
            what the actor's returns.
        actor: What the LSTM returns to its last hidden layer.
        action: That to logits, or to the means of continuous actions.
        critic: What the critic's LSTM returns to its last hidden layer.
        value: That to a value ``(B, 1)``.
        actions: The (unbatched) action space.
        noise: Standard deviations of continuous actions.
    """

    def __init__(
        self,
        features: nn.Module,
        critic_features: nn.Module,
        memory: nn.LSTM,
        critic_memory: nn.LSTM | nn.Linear | None,
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
        self.memory = memory
        self.critic_memory = critic_memory
        self.actor = actor
        self.action = action
        self.critic = critic
        self.value = value
        self.noise = noise
        self.actions = actions

    def beginning(self, count: int) -> Tensor:
        """Return what is remembered at the start of ``count`` episodes, ``(S, L, B, H)``.

        These are hidden and cell state (S = 2), or those of actor and critic (S = 4), of L layers.
        """
        states = 4 if isinstance(self.critic_memory, nn.LSTM) else 2
        return torch.zeros(states, self.memory.num_layers, count, self.memory.hidden_size)

    def forward(self, observation: Any, remembered: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what `distribution` takes, values ``(B,)``, and what is remembered now."""
        recalled, now = _step(self.memory, self.features(observation), remembered[:2])
        if isinstance(self.critic_memory, nn.LSTM):
            seen = self.critic_features(observation)
            criticised, critics = _step(self.critic_memory, seen, remembered[2:])
            now = torch.cat([now, critics])
        elif self.critic_memory is None:
            criticised = recalled
        else:
            criticised = self.critic_memory(self.critic_features(observation))
        latent = self.actor(recalled)
        result = self.action(latent)
        if self.noise is not None:
            result = torch.cat([result, self.noise(result, latent)], dim=-1)
        return result, self.value(self.critic(criticised)).squeeze(-1), now

    def distribution(self, inputs: Tensor) -> Drawn:
        """Return the distribution of actions, as `ActorCritic.distribution` does."""
        return distribution_of(self.actions, inputs)


class RecurrentPolicy(ActorCriticPolicy):
    """Plays a `RecurrentActorCritic`, and keeps what it remembers of each episode."""

    module: RecurrentActorCritic  # type: ignore[assignment] # which remembers

    def __init__(self, module: RecurrentActorCritic, actions: gym.Space[Any]) -> None:
        super().__init__(module, actions)
        self.begin()

    def begin(self) -> None:
        """Forget every episode."""
        self._remembered: dict[int, Tensor] = {}
        self._episodes: Sequence[int] | None = None
        self._before = self.module.beginning(1)

    def follow(self, episodes: Sequence[int]) -> None:
        """Take the next observations for those of these episodes."""
        self._episodes = episodes

    def choose(self, batch: Any, sampled: bool) -> Tensor:
        """Return actions, drawn or the likeliest, and remember what was seen."""
        first = next(iter(batch.values())) if isinstance(batch, Mapping) else batch
        episodes = range(len(first)) if self._episodes is None else self._episodes
        fresh = self.module.beginning(1)[:, :, 0]
        known = [self._remembered.get(episode, fresh) for episode in episodes]
        self._before = torch.stack(known, dim=2)
        inputs, _, now = self.module(batch, self._before)
        self._remembered = dict(zip(episodes, now.unbind(dim=2), strict=True))
        return self.chosen(self.module.distribution(inputs), sampled)

    def look(self, batch: Any, action: NDArray[Any]) -> View:
        """Return what it made of the batch that it has acted on last, see `ActorCriticPolicy`."""
        inputs, values, _ = self.module(batch, self._before)
        return self.viewed(float(values[0]), self.module.distribution(inputs))


def _step(memory: nn.LSTM, seen: Tensor, remembered: Tensor) -> tuple[Tensor, Tensor]:
    """Return what an LSTM makes of one step ``(B, D)``, and its states after it."""
    hidden, cell = remembered.contiguous().unbind(0)
    result, states = memory(seen.unsqueeze(0), (hidden, cell))
    return result.squeeze(0), torch.stack(states)
