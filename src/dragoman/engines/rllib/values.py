"""DQN: values of all actions, the highest taken, now and then another one."""

from __future__ import annotations

from typing import Any

import torch
from ray.rllib.algorithms.dqn.dqn_learner import QF_PREDS, QF_TARGET_NEXT_PREDS
from ray.rllib.algorithms.dqn.torch.dqn_torch_learner import DQNTorchLearner
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis import QNetAPI
from torch import Tensor

from dragoman.engines.rllib.module import WithTarget
from dragoman.engines.rllib.rates import RatedLearner
from dragoman.engines.rllib.settings import DQNSettings


class ValuesModule(WithTarget, QNetAPI):
    """Action values, and the older ones that they learn from."""

    settings: DQNSettings

    def forward_target(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return the older values."""
        return {QF_PREDS: self.target(batch[Columns.OBS])}

    def compute_q_values(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return the present values."""
        return {QF_PREDS: self.policy(batch[Columns.OBS])}

    def _forward_inference(self, batch: dict[str, Any], **named: Any) -> dict[str, Any]:
        with torch.no_grad():
            return {Columns.ACTIONS: self.policy(batch[Columns.OBS]).argmax(dim=1)}

    def _forward_exploration(self, batch: dict[str, Any], t: int = 0, **named: Any) -> Any:
        best: Tensor = self._forward_inference(batch)[Columns.ACTIONS]
        is_other = torch.rand(len(best)) < self.settings.epsilon_at(t / self.task.what.steps)
        if t < self.settings.learning_starts:
            is_other[:] = True
        drawn = torch.randint(int(self.action_space.n), (len(best),))
        return {Columns.ACTIONS: torch.where(is_other, drawn, best)}

    def _forward_train(self, batch: dict[str, Any], **named: Any) -> dict[str, Any]:
        with torch.no_grad():
            older = self.target(batch[Columns.NEXT_OBS])
        return {QF_PREDS: self.policy(batch[Columns.OBS]), QF_TARGET_NEXT_PREDS: older}


class DQNLearner(RatedLearner, DQNTorchLearner):
    """RLlib's loss without its double, dueling and distributional parts."""

    updates = 0

    def compute_loss_for_module(self, *, module_id: str, **named: Any) -> Tensor:
        """Return the Huber loss of the values of taken actions."""
        loss: Tensor = super().compute_loss_for_module(module_id=module_id, **named)
        self.updates += 1
        self.metrics.log_dict(
            {"loss": float(loss.detach()), "learning_rate": self.rate, "n_updates": self.updates},
            key=DEFAULT_MODULE_ID,
            window=1,
        )
        return loss
