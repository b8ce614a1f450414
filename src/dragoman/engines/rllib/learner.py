"""RLlib's learner of PPO with the loss, the optimiser and the metrics of Stable-Baselines3."""

from __future__ import annotations

from typing import Any

import torch
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.core.columns import Columns
from ray.rllib.evaluation.postprocessing import Postprocessing
from torch import Tensor

from dragoman.engines.optimizer import Masters, groups_of
from dragoman.engines.rllib.advantages import Advantages
from dragoman.engines.rllib.loss import Minibatch, ppo_loss, summary
from dragoman.engines.rllib.rates import RatedLearner
from dragoman.engines.rllib.settings import PPOSettings
from dragoman.engines.tuning import CHECKED, first_ratio
from dragoman.roles.act.tune import Tune
from dragoman.roles.explore.mixture import WEIGHT, weighed


class PPOLearner(RatedLearner, PPOTorchLearner):
    """Updates a `dragoman.engines.rllib.module.Module`.

    Attributes:
        is_over: No more steps are taken in this update.
    """

    epsilon = 1e-5
    """As Stable-Baselines3 has it for PPO."""

    def build(self) -> None:
        """Put our own estimate of advantages in the place of RLlib's."""
        self.settings: PPOSettings = self.config.learner_config_dict["settings"]
        self.updates = self.gradient_steps = 0
        super().build()
        self.advantages = self.connector()
        self._learner_connector.remove("GeneralAdvantageEstimation")
        self._learner_connector.append(self.advantages)

    def connector(self) -> Any:
        """Return what adds advantages to a batch, with columns of the metrics and the rollout."""
        return Advantages(self.settings.gamma, self.settings.gae_lambda)

    def optimizer_of(self, module: Any) -> torch.optim.Optimizer:
        """Return an optimiser with rates of its own for model and critic where both are trained."""
        tune = _tune_of(module)
        if tune is None:
            return super().optimizer_of(module)
        self.rate = self.settings.rate_at(0.0)
        groups = groups_of(module.policy, tune, self.rate)
        optimizer = Masters(groups, torch.optim.Adam, lr=self.rate, eps=self.epsilon)
        for group in optimizer.param_groups:
            group["lr"] = self.rate * group["factor"]
        return optimizer

    def before_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        """Begin an update: in the first ones, of the critic alone."""
        super().before_gradient_based_update(timesteps=timesteps)
        self.is_over, self.is_first = False, True
        self.columns: list[dict[str, float]] = []
        self.first_ratio: float | None = None
        for module in self.module.values():
            tune = _tune_of(module.unwrapped())
            if tune is not None:
                self._train_only_critic(self.updates < tune.warm_up)

    def compute_loss_for_module(
        self, *, module_id: str, config: Any, batch: dict[str, Any], fwd_out: dict[str, Any]
    ) -> Tensor:
        """Return the loss of a minibatch."""
        module = self.module[module_id].unwrapped()
        result = module.get_train_action_dist_cls().from_logits(fwd_out[Columns.ACTION_DIST_INPUTS])
        log_probs = result.logp(batch[Columns.ACTIONS])
        if WEIGHT in batch:
            log_probs = weighed(log_probs, batch[WEIGHT])
        minibatch = Minibatch(
            log_probs=log_probs,
            old_log_probs=batch[Columns.ACTION_LOGP],
            advantages=batch[Postprocessing.ADVANTAGES],
            values=fwd_out[Columns.EMBEDDINGS],
            old_values=batch[Columns.VF_PREDS],
            returns=batch[Postprocessing.VALUE_TARGETS],
            entropies=result.entropy(),
        )
        tune = _tune_of(module)
        if tune is not None and self.is_first and tune.check_ratio:
            new, old = minibatch.log_probs[:CHECKED], minibatch.old_log_probs[:CHECKED]
            self.first_ratio = first_ratio(module.reader, new, old)
        self.is_first = False
        loss, columns = ppo_loss(minibatch, self.settings)
        self.columns.append(columns)
        # The policy has moved too far already.
        target = self.settings.target_kl
        self.is_over = target is not None and columns["approx_kl"] > 1.5 * target
        return loss

    def apply_gradients(self, gradients_dict: Any) -> None:
        """Step, unless the update is over."""
        if not self.is_over:
            self.gradient_steps += 1
            super().apply_gradients(gradients_dict)

    def _update(self, batch: Any, **named: Any) -> Any:
        return ({}, {}, {}) if self.is_over else super()._update(batch, **named)

    def after_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        """Log the means over the update."""
        super().after_gradient_based_update(timesteps=timesteps)
        self.updates += bool(self.columns)
        columns = self.said()
        for module_id, module in self.module.items():
            found = {
                "reference_kl": module.unwrapped().last_penalty,
                "kl": module.unwrapped().last_divergence,
            }
            own = columns | {key: value for key, value in found.items() if value is not None}
            self.metrics.log_dict(own, key=module_id, window=1)

    def said(self) -> dict[str, float]:
        """Return columns of the metrics."""
        columns = summary(self.columns, self.settings.n_epochs) | {
            **self.advantages.columns,
            "learning_rate": self.rate,
            "clip_range": self.settings.clip_range,
            "n_updates": self.updates * self.settings.n_epochs,
        }
        if self.first_ratio is not None:
            columns["first_ratio"] = self.first_ratio
        return columns

    def _train_only_critic(self, only: bool) -> None:
        for optimizer in self._named_optimizers.values():
            for group in optimizer.param_groups:
                if group["part"] != "critic":
                    for weight in group["weights"]:
                        weight.requires_grad_(not only)


def _tune_of(module: Any) -> Tune | None:
    act = module.task.what.act
    return None if act is None else act.tune
