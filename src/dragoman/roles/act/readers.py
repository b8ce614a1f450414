"""From an observation to the states that actor and critic read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from dragoman.maths.likelihood import domain_pmi
from dragoman.roles.act.actors import Observation
from dragoman.roles.act.settings import Act
from dragoman.types import Pooling

if TYPE_CHECKING:
    from dragoman.models.tuned import TunedModel

Read: TypeAlias = tuple[Tensor, Tensor, Observation]
"""The actor's state ``(B, D)``, the critic's, and the observation with what else was found out."""


class StateReader(nn.Module):
    """A state that is there already.

    Args:
        space: Space of the observation's ``state``.

    Attributes:
        width: Features ``D`` of the actor's state.
        critic_width: Features of the critic's.
    """

    width: int
    critic_width: int

    def __init__(self, space: gym.Space[Any]) -> None:
        super().__init__()
        self.encoder = nn.Flatten()
        self.width = self.critic_width = size_of(space)

    def forward(self, observation: Observation) -> Read:
        """Return one state for both."""
        state = self.encoder(observation["state"])
        return state, state, observation

    def critic_state(self, observation: Observation) -> Tensor:
        """Return the critic's state alone."""
        state: Tensor = self.encoder(observation["state"])
        return state


class TunedReader(nn.Module):
    """Token ids through a model that is being trained.

    Hidden states are brought to mean zero and variance one, each by itself: running statistics
    would lag behind a model that changes.

    Args:
        model: The model.
        settings: The act role.
        pooling: What becomes of the hidden states of a prompt.
        space: What the act role's observer returns.

    Attributes:
        width: Features ``D`` of the actor's state.
        critic_width: Features of the critic's.
    """

    width: int
    critic_width: int

    def __init__(
        self,
        model: TunedModel,
        settings: Act,
        pooling: tuple[Pooling, ...],
        space: gym.spaces.Dict,
    ) -> None:
        super().__init__()
        self.model = model
        self.settings = settings
        self.pooling = pooling
        self.width = self.critic_width = len(pooling) * model.inner.hidden_size
        self.frozen = StateReader(space["state"]) if "state" in space.spaces else None
        if self.frozen is not None:
            self.critic_width = self.frozen.width

    def forward(self, observation: Observation) -> Read:
        """Return the states, with scores or features of the actions where the policy needs them."""
        prompts = rows_of(observation["prompt"])
        if self.settings.sums_candidates:
            state, observation = self._scored(prompts, observation)
        else:
            state, _ = self._features(prompts)
        if self.settings.reads_texts:
            actions = self._actions(observation)
            observation = {**observation, "actions": actions}
        critic = state if self.frozen is None else self.frozen.critic_state(observation)
        return state, critic, observation

    def critic_state(self, observation: Observation) -> Tensor:
        """Return the critic's state alone."""
        if self.frozen is not None:
            return self.frozen.critic_state(observation)
        return self._features(rows_of(observation["prompt"]))[0]

    def written(
        self,
        observation: Observation,
        texts: Sequence[tuple[int, ...]],
        free: Sequence[int],
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the critic's state, and the log-probs of the tokens behind each prompt.

        Args:
            observation: With the prompts.
            texts: Token ids of what stands behind each of them.
            free: How many of them the grammar, if there is one, has not decided.
        """
        from dragoman.models.tuned import Text

        rows = zip(rows_of(observation["prompt"]), texts, free, strict=True)
        read = [Text(prompt, (own,), start) for prompt, own, start in rows]
        features, log_probs = self.model(
            read, self.pooling, by_token=True, grammar=self.settings.kept_grammar
        )
        state = functional.layer_norm(features, features.shape[-1:])
        critic = state if self.frozen is None else self.frozen.critic_state(observation)
        return critic, log_probs

    def _features(
        self,
        prompts: list[tuple[int, ...]],
        candidates: list[tuple[tuple[int, ...], ...]] | None = None,
        pooling: tuple[Pooling, ...] | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        from dragoman.models.tuned import Text

        own = candidates or [()] * len(prompts)
        texts = [Text(prompt, one) for prompt, one in zip(prompts, own, strict=True)]
        features, sums = self.model(texts, pooling or self.pooling)
        return functional.layer_norm(features, features.shape[-1:]), sums

    def _scored(
        self, prompts: list[tuple[int, ...]], observation: Observation
    ) -> tuple[Tensor, Observation]:
        """Return states, and normalised scores in the place of what stood in the observation."""
        mask = observation["mask"] > 0
        candidates = [
            tuple(rows_of(own[valid]))
            for own, valid in zip(observation["candidates"], mask, strict=True)
        ]
        state, sums = self._features(prompts, candidates)
        # Row by row, where it is valid, in order: as the candidates were taken out.
        scores = torch.zeros(mask.shape, device=state.device)
        scores = scores.masked_scatter(mask.to(state.device), torch.cat(sums))
        scores = scores / observation["divisor"].to(state.device)
        if "domain" in observation:
            scores = domain_pmi(scores, observation["domain"].to(state.device))
        return state, {**observation, "scores": scores}

    def _actions(self, observation: Observation) -> Tensor:
        """Return features ``(B, K, D_a)`` of action texts; zero where not valid."""
        mask = (observation["mask"] > 0).to(self.model.device)
        pooling = self.settings.pooling
        features, _ = self._features(
            rows_of(observation["candidates"][observation["mask"] > 0]), pooling=pooling
        )
        result = features.new_zeros(*mask.shape, features.shape[-1])
        return result.masked_scatter(mask.unsqueeze(-1), features)


def rows_of(ids: Tensor) -> list[tuple[int, ...]]:
    """Return the token ids of each row without its padding, which is negative."""
    rows = ids.cpu().numpy()
    counts = (rows >= 0).sum(axis=1)
    return [tuple(row[:count].tolist()) for row, count in zip(rows, counts, strict=True)]


def size_of(space: gym.Space[Any]) -> int:
    """Return how many numbers a value of a space has."""
    assert space.shape is not None
    return int(np.prod(space.shape))
