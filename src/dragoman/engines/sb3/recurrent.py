"""The recurrent algorithm of SB3-Contrib: PPO whose policy remembers by an LSTM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from dragoman.engines.sb3.rollouts import WholeRollouts
from dragoman.errors import ConfigError, MissingExtraError

try:
    from sb3_contrib import RecurrentPPO
except ModuleNotFoundError as error:
    raise MissingExtraError("sb3-contrib", extra="recurrent") from error

LSTM = ("bias", "dropout")
"""What ``policy_kwargs.lstm_kwargs`` may hold: all that leaves the shapes of the states."""


class ShorterRecurrentPPO(RecurrentPPO):
    """Takes rollouts and batches of any length."""

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Play, with room for as many states of the LSTM as there are steps."""
        buffer: Any = rollout_buffer
        buffer.hidden_state_shape = (n_rollout_steps, *buffer.hidden_state_shape[1:])
        return super().collect_rollouts(env, callback, rollout_buffer, n_rollout_steps)

    def train(self) -> None:
        """Update, with no batch of a single step: its advantage has no deviation to divide by."""
        own = self.batch_size, self.normalize_advantage
        steps = self.rollout_buffer.buffer_size * self.n_envs
        self.batch_size = larger(own[0] or steps, steps)
        self.normalize_advantage = own[1] and steps > 1
        super().train()
        self.batch_size, self.normalize_advantage = own


class WholeRecurrentPPO(WholeRollouts, ShorterRecurrentPPO):
    """Recurrent PPO."""


def larger(size: int, steps: int) -> int:
    """Return the least batch size, from one on, that leaves no batch of a single step.

    >>> larger(4, steps=8), larger(4, steps=9), larger(4, steps=3)
    (4, 5, 4)
    """
    while steps > 1 and steps % size == 1:
        size += 1
    return size


def check(settings: Mapping[str, Any]) -> None:
    """Refuse what SB3-Contrib takes, and what then fails or is played otherwise than learnt.

    Args:
        settings: Those of the algorithm.

    Raises:
        ConfigError: There is such a setting.
    """
    if settings.get("batch_size") == 1 and settings.get("normalize_advantage", True):
        raise ConfigError(
            "algorithm.settings.batch_size is 1, but the advantage of a single step cannot be "
            "normalised",
            cure="raise it, or set normalize_advantage to false",
        )
    own = settings.get("policy_kwargs") or {}
    if own.get("squash_output"):
        raise ConfigError(
            "algorithm.settings.policy_kwargs.squash_output is true, but recurrent-ppo does not "
            "scale squashed actions to their bounds",
            cure="leave it out: actions are clipped to their bounds",
        )
    for key in own.get("lstm_kwargs") or {}:
        if key not in LSTM:
            raise ConfigError(
                f"algorithm.settings.policy_kwargs.lstm_kwargs holds {key!r}, which changes the "
                "shape of what the LSTM returns",
                cure=f"leave it out; lstm_kwargs may hold {' and '.join(LSTM)}",
            )
