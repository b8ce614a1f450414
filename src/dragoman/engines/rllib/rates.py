"""Optimisers of RLlib's learners whose learning rate is set from outside."""

from __future__ import annotations

from typing import Any

import torch
from ray.rllib.core.learner.torch.torch_learner import TorchLearner


class RatedLearner(TorchLearner):
    """A learner with one optimiser of all that is trained. Mix it in before another.

    Attributes:
        rate: The learning rate.
        epsilon: Of Adam.
    """

    epsilon = 1e-8
    rate: float

    def configure_optimizers_for_module(self, module_id: str, config: Any = None) -> None:
        """Make the optimiser."""
        module = self._module[module_id].unwrapped()
        self.register_optimizer(
            module_id=module_id,
            optimizer=self.optimizer_of(module),
            params=self.get_parameters(module),
            # With a schedule of RLlib's all groups would get one rate.
            lr_or_lr_schedule=None,
        )

    def optimizer_of(self, module: Any) -> torch.optim.Optimizer:
        """Return the optimiser of a module."""
        self.rate = self.config.learner_config_dict["settings"].rate_at(0.0)
        return torch.optim.Adam(self.get_parameters(module), lr=self.rate, eps=self.epsilon)

    def get_parameters(self, module: Any) -> list[Any]:
        """Return what is trained."""
        return [tensor for tensor in module.parameters() if tensor.requires_grad]

    def set_guide(self, weight: float) -> None:
        """Take the guide's prior into account with this weight."""
        for module in self.module.values():
            module.unwrapped().guide_weight = weight

    def set_rate(self, rate: float) -> None:
        """Learn with this rate, and with others in proportion where parts have their own."""
        self.rate = rate
        for optimizer in self._named_optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate * group.get("factor", 1.0)
