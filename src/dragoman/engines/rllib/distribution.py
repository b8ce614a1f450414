"""The distributions of actions of `dragoman.engines.policies`, as RLlib asks for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical, kl_divergence

from dragoman.engines.policies.actor_critic import Drawn
from dragoman.roles.act.masked import MaskedCategorical
from dragoman.roles.act.penalty import divergence


class Drawing:
    """One batch of distributions: of an action, or of its independent parts.

    Args:
        found: What `distribution` of a policy returned.
    """

    def __init__(self, found: Drawn) -> None:
        self._is_parts = isinstance(found, list)
        self.parts: list[Any] = found if isinstance(found, list) else [found]

    def sample(self) -> Tensor:
        """Return drawn actions ``(B, ...)``."""
        return self._joined([part.sample() for part in self.parts])

    def mode(self) -> Tensor:
        """Return the likeliest actions ``(B, ...)``."""
        return self._joined([_mode(part) for part in self.parts])

    def logp(self, actions: Tensor) -> Tensor:
        """Return log-probabilities ``(B,)`` of actions."""
        own = actions.unbind(dim=1) if self._is_parts else [actions]
        return _sum([part.log_prob(one) for part, one in zip(self.parts, own, strict=True)])

    def entropy(self) -> Tensor:
        """Return entropies ``(B,)`` in nats."""
        return _sum([part.entropy() for part in self.parts])

    def kl(self, other: Drawing) -> Tensor:
        """Return the divergence ``(B,)`` of these from others, in nats."""
        return _sum([_divergence(a, b) for a, b in zip(self.parts, other.parts, strict=True)])

    def to_deterministic(self) -> Likeliest:
        """Return what draws the likeliest actions."""
        return Likeliest(self.mode())

    def _joined(self, columns: list[Tensor]) -> Tensor:
        return torch.stack(columns, dim=1) if self._is_parts else columns[0]


class Likeliest:
    """Draws what is given.

    Args:
        actions: ``(B, ...)``.
    """

    def __init__(self, actions: Tensor) -> None:
        self.actions = actions

    def sample(self) -> Tensor:
        """Return the actions."""
        return self.actions

    def logp(self, actions: Tensor) -> Tensor:
        """Return zeros ``(B,)``: they are certain."""
        return torch.zeros(len(actions))


class Drawings:
    """What RLlib calls a distribution class: it makes distributions of what a policy computes.

    Args:
        distribution: `distribution` of a policy of ours.
    """

    def __init__(self, distribution: Callable[[Tensor], Drawn]) -> None:
        self._distribution = distribution

    def from_logits(self, inputs: Tensor) -> Drawing:
        """Return the distributions of a batch."""
        return Drawing(self._distribution(inputs))


def _sum(columns: list[Tensor]) -> Tensor:
    """Return sums over all that a row has."""
    sums = [column.reshape(len(column), -1).sum(dim=1) for column in columns]
    return torch.stack(sums).sum(dim=0)


def _mode(part: Any) -> Tensor:
    result: Tensor = part.probs.argmax(dim=-1) if isinstance(part, Categorical) else part.mode
    return result


def _divergence(one: Any, other: Any) -> Tensor:
    if isinstance(one, MaskedCategorical):
        return divergence(one, other)
    return kl_divergence(one, other)
