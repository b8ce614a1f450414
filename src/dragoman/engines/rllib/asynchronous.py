"""APPO: PPO whose runners play on while it learns, corrected by V-trace (Espeholt et al. 2018)."""

from __future__ import annotations

import threading
from typing import Any

import torch
from ray.rllib.algorithms.appo.torch.appo_torch_learner import APPOTorchLearner
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis.target_network_api import TARGET_NETWORK_ACTION_DIST_INPUTS

from dragoman.engines.rllib.module import Module, WithTarget
from dragoman.engines.rllib.rates import RatedLearner


class AsynchronousModule(WithTarget, Module):
    """An actor with a critic, and the older actor that updates are held to."""

    def forward_target(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return what the older policy makes distributions of."""
        with torch.no_grad():
            return {TARGET_NETWORK_ACTION_DIST_INPUTS: self.target(batch[Columns.OBS])[0]}


class APPOLearner(RatedLearner, APPOTorchLearner):
    """RLlib's loss, with a learning rate that is set from outside.

    Attributes:
        turn: Held while weights change: another thread of this process changes them.
    """

    epsilon = 1e-5

    def build(self) -> None:
        """Make the lock before the thread that takes it."""
        self.turn = threading.RLock()
        super().build()

    def after_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        """Move the older actor."""
        with self.turn:
            super().after_gradient_based_update(timesteps=timesteps)
        for module_id, module in self.module.items():
            apart = module.unwrapped().last_divergence
            if apart is not None:
                self.metrics.log_dict({"kl": apart}, key=module_id, window=1)

    def _update(self, batch: Any, **named: Any) -> Any:
        with self.turn:
            return super()._update(batch, **named)
