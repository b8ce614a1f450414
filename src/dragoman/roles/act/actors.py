"""From a state and what is known of the actions to one logit an action."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from dragoman.roles.act.networks import ACTION_GAIN, linear, mlp

Observation = Mapping[str, Tensor]
"""What `dragoman.roles.act.observer.OptionsObserver` returns, as tensors."""


class HeadActor(nn.Module):
    """An MLP on the state with one output an action.

    Args:
        width: Features ``D`` of a state.
        count: Number of actions ``K``.
        hidden: Units of the hidden layers.
    """

    def __init__(self, width: int, count: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.network = mlp(width, hidden, count, ACTION_GAIN)

    def forward(self, state: Tensor, observation: Observation) -> Tensor:
        """Return logits ``(B, K)`` of states ``(B, D)``."""
        logits: Tensor = self.network(state)
        return logits


class ConcatActor(nn.Module):
    """One MLP that reads the state beside the features of an action, for each action.

    The first layer is linear in both, so each is multiplied once and the results are added: the
    same function as of the two side by side, without copying the state for each action.

    Args:
        width: Features ``D`` of a state.
        action_width: Features ``D_a`` of an action.
        hidden: Units of the hidden layers, at least one layer.
    """

    def __init__(self, width: int, action_width: int, hidden: Sequence[int]) -> None:
        super().__init__()
        first, *rest = hidden
        self.of_state = linear(width, first)
        self.of_action = nn.Linear(action_width, first, bias=False)
        nn.init.orthogonal_(self.of_action.weight, math.sqrt(2))
        self.network = nn.Sequential(nn.Tanh(), mlp(first, rest, 1, ACTION_GAIN))

    def forward(self, state: Tensor, observation: Observation) -> Tensor:
        """Return logits ``(B, K)`` of states ``(B, D)`` and actions ``(B, K, D_a)``."""
        joined = self.of_state(state).unsqueeze(1) + self.of_action(observation["actions"])
        logits: Tensor = self.network(joined).squeeze(-1)
        return logits


class DotActor(nn.Module):
    """The inner product of an MLP on the state and one on each action.

    The deep reinforcement relevance network of He et al. 2016 ("Deep reinforcement learning with
    a natural language action space"), with logits in the place of action values.

    Args:
        width: Features ``D`` of a state.
        action_width: Features ``D_a`` of an action.
        hidden: Units of the hidden layers, the last of which are multiplied.
    """

    def __init__(self, width: int, action_width: int, hidden: Sequence[int]) -> None:
        super().__init__()
        *inner, last = hidden
        self.of_state = mlp(width, inner, last)
        # Small, so that the first policy is close to uniform.
        self.of_action = mlp(action_width, inner, last, gain=0.1)

    def forward(self, state: Tensor, observation: Observation) -> Tensor:
        """Return logits ``(B, K)`` of states ``(B, D)`` and actions ``(B, K, D_a)``."""
        actions = self.of_action(observation["actions"])
        return torch.einsum("bd,bkd->bk", self.of_state(state), actions)


class ScoreActor(nn.Module):
    """Scores of action texts over a temperature.

    Args:
        temperature: What scores are divided by.
        learn: Train it; its logarithm is the parameter, so it stays positive.
    """

    def __init__(self, temperature: float, learn: bool) -> None:
        super().__init__()
        self.log_temperature = nn.Parameter(
            torch.tensor(math.log(temperature)), requires_grad=learn
        )

    def forward(self, state: Tensor, observation: Observation) -> Tensor:
        """Return logits ``(B, K)`` of scores ``(B, K)``; the state is not looked at."""
        return observation["scores"] / self.log_temperature.exp()


class HybridActor(nn.Module):
    """Logits that are trained, on top of the log-probs of a prior over the valid actions.

    Args:
        base: Gives the trained logits.
        prior: Gives the logits of the prior.
        weight: Factor of the prior's log-probs.
    """

    def __init__(self, base: nn.Module, prior: ScoreActor, weight: float) -> None:
        super().__init__()
        self.base = base
        self.prior = prior
        self.weight = weight

    def forward(self, state: Tensor, observation: Observation) -> Tensor:
        """Return logits ``(B, K)``."""
        prior = self.prior(state, observation)
        valid = prior.masked_fill(observation["mask"] == 0, -torch.inf)
        # A constant a row, which no softmax sees: it makes the numbers log-probs.
        level = torch.logsumexp(valid, dim=-1, keepdim=True)
        level = torch.where(level.isfinite(), level, 0.0)
        logits: Tensor = self.base(state, observation) + self.weight * (prior - level)
        return logits
