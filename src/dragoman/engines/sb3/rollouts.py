"""Algorithms of Stable-Baselines3 that take no step more than was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import RolloutReturn, TrainFreq, TrainFrequencyUnit
from stable_baselines3.common.vec_env import VecEnv


class Boundaries(BaseAlgorithm):
    """Says before each rollout that the training can be cut there.

    Attributes:
        boundary: Called then, before anything of the rollout is begun.
    """

    boundary: Callable[[], None] | None = None

    def at_boundary(self) -> None:
        """Say it."""
        if self.boundary is not None:
            self.boundary()


class WholeRollouts(Boundaries, OnPolicyAlgorithm):
    """Ends at the step that was asked for: the last rollout may be shorter."""

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Play as far as the steps last."""
        self.at_boundary()
        steps = min(n_rollout_steps, _left(self, env))
        # Beginning a rollout makes arrays of this size, and the update takes all of them.
        rollout_buffer.buffer_size = steps
        return super().collect_rollouts(env, callback, rollout_buffer, steps)


class WholeSteps(Boundaries, OffPolicyAlgorithm):
    """Ends at the step that was asked for: what is played before the last update may be less.

    Attributes:
        row_at: At which step the last row of the metrics was written.
    """

    row_at: int = 0

    def dump_logs(self) -> None:
        """Write a row: one for all episodes that end in a step, since the columns are theirs."""
        if self.row_at != self.num_timesteps:
            self.row_at = self.num_timesteps
            super().dump_logs()

    def collect_rollouts(self, *arguments: Any, **named: Any) -> RolloutReturn:
        """Play as far as the steps last."""
        self.at_boundary()
        assert self.env is not None
        train_freq: TrainFreq = named["train_freq"]
        if not waits_for_episodes(self):
            frequency = min(train_freq.frequency, _left(self, self.env))
            named["train_freq"] = train_freq._replace(frequency=frequency)
        return super().collect_rollouts(*arguments, **named)


class UntilStep(BaseCallback):
    """Ends a training in the middle of an episode, where updates wait for whole ones."""

    def _on_step(self) -> bool:
        return self.num_timesteps < self.model._total_timesteps


class WholePPO(WholeRollouts, PPO):
    """PPO."""


class WholeA2C(WholeRollouts, A2C):
    """A2C."""


class WholeDQN(WholeSteps, DQN):
    """DQN."""


class WholeSAC(WholeSteps, SAC):
    """SAC."""


class WholeTD3(WholeSteps, TD3):
    """TD3."""


def waits_for_episodes(algorithm: OffPolicyAlgorithm) -> bool:
    """Return whether an update waits for the end of an episode, rather than for some steps."""
    frequency = algorithm.train_freq
    return isinstance(frequency, TrainFreq) and frequency.unit == TrainFrequencyUnit.EPISODE


def _left(algorithm: Any, env: VecEnv) -> int:
    """Return how many steps of each copy are left."""
    left: int = algorithm._total_timesteps - algorithm.num_timesteps
    return max(left // env.num_envs, 1)
