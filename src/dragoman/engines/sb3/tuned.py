"""What training the model itself adds to an algorithm of Stable-Baselines3."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.buffers import DictRolloutBuffer
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import Tensor

from dragoman.engines.sb3.rollouts import WholeA2C, WholePPO
from dragoman.engines.tuning import CHECKED, first_ratio, make_room
from dragoman.roles.act.readers import TunedReader
from dragoman.roles.act.tune import Tune


class Tuning(OnPolicyAlgorithm):
    """Rates of its own for the model, a warm-up of the critic, and a check of the first ratio.

    Mix it in before an on-policy algorithm.
    """

    tune: Tune
    policy: Any
    updates: int = 0
    first_ratio: float = 1.0

    def collect_rollouts(self, *arguments: Any, **named: Any) -> bool:
        """Play, after making room for what the frozen blocks will make of the new texts.

        A server that writes them is given the adapters of the last update before.
        """
        make_room(self._reader, self.tune.keep_bytes)
        server = getattr(self.policy.policy, "server", None)
        if server is not None:
            server.publish(self.updates)
            self.logger.record("server/version", server.version)
        return super().collect_rollouts(*arguments, **named)

    def train(self) -> None:
        """Update once, on the rollout."""
        only_critic = self.updates < self.tune.warm_up
        for group in self.policy.optimizer.param_groups:
            if group["part"] != "critic":
                for weight in group["weights"]:
                    weight.requires_grad_(not only_critic)
        if self.tune.check_ratio:
            self._check_first_ratio()
        super().train()
        self.updates += 1
        self.logger.record("train/first_ratio", self.first_ratio)
        if self.policy.last_penalty is not None:
            self.logger.record("train/reference_kl", self.policy.last_penalty)

    def _update_learning_rate(self, optimizers: Any) -> None:
        super()._update_learning_rate(optimizers)
        for group in self.policy.optimizer.param_groups:
            group["lr"] *= group["factor"]

    def forget(self) -> None:
        """Forget what was computed of texts."""
        self._reader.model.inner.forget()

    @property
    def _reader(self) -> TunedReader:
        reader: TunedReader = self.policy.policy.reader
        return reader

    def _check_first_ratio(self) -> None:
        buffer = self.rollout_buffer
        assert isinstance(buffer, DictRolloutBuffer)
        steps = max(CHECKED // buffer.n_envs, 1)
        seen = {key: _first(value, steps) for key, value in buffer.observations.items()}
        actions = _first(buffer.actions, steps).squeeze(-1).to(self.device)
        with torch.no_grad():
            observation = {key: value.to(self.device) for key, value in seen.items()}
            _, log_probs, _ = self.policy.evaluate_actions(observation, actions)
        old_log_probs = _first(buffer.log_probs, steps)
        if old_log_probs.dim() > 1:  # of tokens
            old_log_probs = old_log_probs[actions.cpu() >= 0]
        self.first_ratio = first_ratio(self._reader, log_probs, old_log_probs)


class TunedPPO(Tuning, WholePPO):
    """PPO that trains the model too."""


class TunedA2C(Tuning, WholeA2C):
    """A2C that trains the model too."""


TUNED: dict[str, type[Tuning]] = {"ppo": TunedPPO, "a2c": TunedA2C}


def _first(values: Any, steps: int) -> Tensor:
    """Return the first steps of all environments, one after the other."""
    tensor = torch.as_tensor(values[:steps])
    return tensor.flatten(0, 1)
