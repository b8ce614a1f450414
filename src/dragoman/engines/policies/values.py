"""The policy of DQN: the action of the highest value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from dragoman.engines.policies.policy import ModulePolicy, View, Weighing


class ActionValues(nn.Module):
    """Values ``(B, K)`` of all actions in a state.

    Args:
        features: Observations to features.
        network: Features to values.
    """

    def __init__(self, features: nn.Module, network: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.network = network

    def forward(self, observation: Any) -> Tensor:
        """Return values ``(B, K)``."""
        values: Tensor = self.network(self.features(observation))
        return values


class GreedyPolicy(ModulePolicy):
    """Plays `ActionValues`: there is nothing to draw."""

    weighing: Weighing = "action value"

    def choose(self, batch: Any, sampled: bool) -> Tensor:
        """Return the actions of the highest value."""
        chosen: Tensor = self.module(batch).argmax(dim=1)
        return chosen

    def look(self, batch: Any, action: NDArray[Any]) -> View:
        """Return the values of all actions, and the highest of them."""
        values = tuple(self.module(batch)[0].tolist())
        return View(float(np.max(values)), (values,))
