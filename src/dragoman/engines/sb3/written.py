"""The policy that writes, in the words of Stable-Baselines3."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from dragoman.engines.sb3.policy import ActPolicy
from dragoman.roles.act.written import WrittenPolicy


class WritePolicy(ActPolicy):
    """An actor-critic policy of Stable-Baselines3 that is a `WrittenPolicy` inside.

    Its actions are rows of token ids. Their entropy has no closed form; the library takes
    minus the log-probs for it.
    """

    policy: WrittenPolicy  # type: ignore[assignment] # which has no distribution to choose by

    def forward(self, obs: Any, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Return token ids ``(B, L)``, values ``(B,)`` and log-probs ``(B,)``."""
        ids = self.policy.write(obs, greedy=deterministic)
        values, log_probs = self.policy(obs, ids)
        return ids.float(), values, log_probs

    def evaluate_actions(self, obs: Any, actions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return values and log-probs, each ``(B,)``."""
        ids = actions.long().reshape(-1, self.policy.settings.max_tokens)
        values, log_probs = self.policy(obs, ids)
        return values, log_probs, None
