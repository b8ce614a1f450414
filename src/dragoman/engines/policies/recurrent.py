"""The policy of recurrent PPO: an actor and a critic that remember what was seen before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dragoman.engines.policies.actor_critic import ActorCriticPolicy, Heads
from dragoman.engines.policies.policy import View


class RecurrentActorCritic(Heads):
    """Actor and critic on what LSTMs have made of all observations of an episode.

    Args:
        memory: The actor's LSTM, on its features.
        critic_memory: The critic's LSTM, a layer without memory, or nothing where the critic reads
            what the actor's returns.
        heads: As those of `Heads`.
    """

    def __init__(
        self, memory: nn.LSTM, critic_memory: nn.LSTM | nn.Linear | None, *heads: Any
    ) -> None:
        super().__init__(*heads)
        self.memory = memory
        self.critic_memory = critic_memory

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
        return self.inputs_of(recalled), self.values_of(criticised), now


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
