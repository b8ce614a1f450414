"""SAC: continuous actions between -1 and 1, two critics, and a temperature that is learnt."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from ray.rllib.algorithms.dqn.torch.dqn_torch_learner import DQNTorchLearner
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis import QNetAPI
from ray.rllib.utils.metrics import TD_ERROR_KEY
from torch import Tensor, nn
from torch.distributions import Normal
from torch.func import functional_call
from torch.nn.functional import softplus

from dragoman.engines.rllib.module import WithTarget
from dragoman.engines.rllib.rates import RatedLearner
from dragoman.engines.rllib.settings import SACSettings


class ContinuousModule(WithTarget, QNetAPI):
    """An actor, critics, and the older critics that these learn from."""

    settings: SACSettings

    def setup(self) -> None:
        """Make the network."""
        super().setup()
        start, is_learnt = self.settings.temperature
        log = torch.tensor(float(np.log(start)))
        self.log_temperature = nn.Parameter(log, requires_grad=is_learnt)

    def get_non_inference_attributes(self) -> list[str]:
        """Return what runners need not have."""
        return [*super().get_non_inference_attributes(), "log_temperature"]

    def forward_target(self, batch: dict[str, Any]) -> Any:
        """Return the least of the older values ``(B,)``."""
        return self.target.values(batch[Columns.OBS], batch[Columns.ACTIONS]).amin(dim=1)

    def compute_q_values(self, batch: dict[str, Any]) -> Any:
        """Return the present values ``(B, critics)``."""
        return self.policy.values(batch[Columns.OBS], batch[Columns.ACTIONS])

    def drawn(self, observations: Any) -> tuple[Tensor, Tensor]:
        """Return actions ``(B, A)`` between -1 and 1 and their log-densities ``(B,)``."""
        normal: Any = Normal(*self.policy(observations))
        inner = normal.rsample()
        # The logarithm of the slope of tanh, in a form that does not overflow.
        slope = 2 * (np.log(2) - inner - softplus(-2 * inner))
        return torch.tanh(inner), (normal.log_prob(inner) - slope).sum(dim=1)

    def _forward_inference(self, batch: dict[str, Any], **named: Any) -> dict[str, Any]:
        with torch.no_grad():
            means = torch.tanh(self.policy(batch[Columns.OBS])[0])
        return {Columns.ACTIONS: means.reshape(-1, *self.action_space.shape)}

    def _forward_exploration(self, batch: dict[str, Any], t: int = 0, **named: Any) -> Any:
        with torch.no_grad():
            actions = self.drawn(batch[Columns.OBS])[0]
        if t < self.settings.learning_starts:
            actions = 2 * torch.rand_like(actions) - 1
        return {Columns.ACTIONS: actions.reshape(-1, *self.action_space.shape)}

    def _forward_train(self, batch: dict[str, Any], **named: Any) -> dict[str, Any]:
        actions, log_probs = self.drawn(batch[Columns.OBS])
        # Through the critics as they are: the actor's loss must not train them.
        fixed = {name: tensor.detach() for name, tensor in self.policy.named_parameters()}
        values = functional_call(
            _Values(self.policy),
            {f"network.{name}": tensor for name, tensor in fixed.items()},
            (batch[Columns.OBS], actions),
        )
        with torch.no_grad():
            next_actions, next_log_probs = self.drawn(batch[Columns.NEXT_OBS])
            after = self.target.values(batch[Columns.NEXT_OBS], next_actions).amin(dim=1)
        taken = batch[Columns.ACTIONS].flatten(1)
        return {
            "log_probs": log_probs,
            "values": values.amin(dim=1),
            "taken": self.policy.values(batch[Columns.OBS], taken),
            "after": after,
            "next_log_probs": next_log_probs,
        }


class _Values(nn.Module):
    """The critics of a network as a module of their own."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: Any = network

    def forward(self, observations: Any, actions: Tensor) -> Tensor:
        values: Tensor = self.network.values(observations, actions)
        return values


class SACLearner(RatedLearner, DQNTorchLearner):
    """The losses of Stable-Baselines3, in one step of one optimiser."""

    updates = 0

    def compute_loss_for_module(
        self, *, module_id: str, config: Any, batch: dict[str, Any], fwd_out: dict[str, Any]
    ) -> Tensor:
        """Return the losses of actor, critics and temperature together: each trains its own."""
        module = self.module[module_id].unwrapped()
        settings: SACSettings = module.settings
        temperature = module.log_temperature.detach().exp()
        after = fwd_out["after"] - temperature * fwd_out["next_log_probs"]
        goes_on = 1.0 - batch[Columns.TERMINATEDS].float()
        wanted = batch[Columns.REWARDS] + settings.gamma * goes_on * after
        errors = fwd_out["taken"] - wanted.unsqueeze(1)
        critic_loss = 0.5 * (errors**2).mean(dim=0).sum()
        log_probs = fwd_out["log_probs"]
        actor_loss = (temperature * log_probs - fwd_out["values"]).mean()
        entropy = settings.wanted_entropy(module.action_space)
        excess = (log_probs + entropy).detach()
        temperature_loss = -(module.log_temperature * excess).mean()
        loss: Tensor = actor_loss + critic_loss
        if module.log_temperature.requires_grad:
            loss = loss + temperature_loss
        self.updates += 1
        self.metrics.log_dict(
            {
                "actor_loss": float(actor_loss.detach()),
                "critic_loss": float(critic_loss.detach()),
                "ent_coef": float(temperature),
                "learning_rate": self.rate,
                "n_updates": self.updates,
            },
            key=DEFAULT_MODULE_ID,
            window=1,
        )
        # RLlib's buffer reads it of each step.
        self.metrics.log_value(
            (module_id, TD_ERROR_KEY), errors.detach().abs().mean(dim=1), reduce="item_series"
        )
        return loss
