"""A training of Stable-Baselines3, and the one callback that calls watchers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import Tensor, nn

from dragoman.engines.sb3.names import our_names
from dragoman.engines.sb3.rollouts import UntilStep, waits_for_episodes
from dragoman.engines.watcher import Rollout, Watchers
from dragoman.run import RunWriter


class SB3Training:
    """An algorithm of Stable-Baselines3 as a `dragoman.engines.engine.Learner`.

    Args:
        algorithm: The algorithm.
        callbacks: Callbacks of Stable-Baselines3, called after all watchers.
    """

    def __init__(self, algorithm: BaseAlgorithm, callbacks: Sequence[BaseCallback] = ()) -> None:
        self.algorithm = algorithm
        self.callbacks = callbacks
        algorithm.set_logger(Logger(None, []))

    @property
    def policy(self) -> nn.Module:
        """The library's own policy."""
        return self.algorithm.policy

    @property
    def actions(self) -> gym.Space[Any]:
        """What the policy chooses from, counted from zero."""
        return self.algorithm.action_space

    @property
    def steps(self) -> int:
        """Environment steps taken so far."""
        return self.algorithm.num_timesteps

    @property
    def row(self) -> Mapping[str, Any]:
        """Columns of the next row, as far as they are known."""
        return self.algorithm.logger.name_to_value

    def record(self, name: str, value: Any) -> None:
        """Put a column into the next row."""
        self.algorithm.logger.record(name, value)

    def weights(self) -> Mapping[str, Tensor]:
        """Return what was trained, by the names of our own policies."""
        return our_names(self.algorithm.policy.state_dict())

    def learn(self, watchers: Watchers, steps: int, writer: RunWriter | None = None) -> None:
        """Train, and call the watchers."""
        if writer is not None:
            self.algorithm.set_logger(Logger(str(writer.path), [_Rows(writer)]))
        self._let_schedules_follow(watchers)
        callbacks: list[BaseCallback] = [_Told(self, watchers)]
        if isinstance(self.algorithm, OffPolicyAlgorithm) and waits_for_episodes(self.algorithm):
            callbacks.append(UntilStep())
        self.algorithm.learn(steps, callback=[*callbacks, *self.callbacks], log_interval=1)
        if watchers.stopped:
            # It may end within a rollout, which no row has described yet.
            watchers.rollout(self, None)
            self.algorithm.logger.dump(self.steps)

    def close(self) -> None:
        """Do nothing: it runs in this process."""

    def _let_schedules_follow(self, watchers: Watchers) -> None:
        # The library computes it between a rollout and its update, where no callback is.
        algorithm: Any = self.algorithm

        def update(steps: int, most: int) -> None:
            share = max(watchers.progress(), steps / most)
            algorithm._current_progress_remaining = 1.0 - min(share, 1.0)

        algorithm._update_current_progress_remaining = update


class _Rows(KVWriter):
    """Sends the logger's rows to the run folder."""

    def __init__(self, writer: RunWriter) -> None:
        self.writer = writer

    def write(
        self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0
    ) -> None:
        self.writer.metric({"step": step, **key_values})

    def close(self) -> None:
        """Leave closing to the run folder's owner."""


class _Told(BaseCallback):
    """Calls watchers with what a callback of Stable-Baselines3 is called with."""

    def __init__(self, training: SB3Training, watchers: Watchers) -> None:
        super().__init__()
        self.training = training
        self.watchers = watchers
        self._updates = 0

    def _on_training_start(self) -> None:
        self.watchers.begin(self.training)

    def _on_step(self) -> bool:
        return self.watchers.step(self.training, self.locals["infos"])

    def _on_rollout_start(self) -> None:
        if self.model._n_updates != self._updates:
            self._updates = self.model._n_updates
            self.watchers.update(self.training)

    def _on_rollout_end(self) -> None:
        rollout = None
        if isinstance(self.model, OnPolicyAlgorithm):
            buffer: Any = self.model.rollout_buffer
            rollout = Rollout(buffer.actions, buffer.observations)
        self.watchers.rollout(self.training, rollout)

    def _on_training_end(self) -> None:
        self._on_rollout_start()
