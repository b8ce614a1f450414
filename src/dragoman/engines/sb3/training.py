"""A training of Stable-Baselines3, and the one callback that calls watchers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import NStepReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import Tensor, nn

from dragoman.engines.sb3.names import our_names
from dragoman.engines.sb3.rollouts import UntilStep, waits_for_episodes
from dragoman.engines.sb3.tuned import Tuning
from dragoman.engines.watcher import Rollout, Watchers
from dragoman.environments.vector import rows_of
from dragoman.run import RunWriter

STATE = (
    "num_timesteps",
    "action_space",
    "policy",
    "policy.optimizer",
    "actor.optimizer",
    "critic.optimizer",
    "log_ent_coef",
    "ent_coef_optimizer",
    "exploration_rate",
    "updates",
    "rounds",
    "row_at",
    "first_ratio",
    "ep_success_buffer",
    "logger.name_to_value",
    "logger.name_to_count",
    "logger.name_to_excluded",
    "_episode_num",
    "_n_calls",
    "_n_updates",
    "_current_progress_remaining",
)
"""What the algorithms of the library know of a training; each has some of it."""


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

    @property
    def resumes(self) -> tuple[str, ...]:
        """What a resumed training has again, as far as its algorithm has it."""
        own = [f"algorithm.{name}" for name in STATE if _has(self.algorithm, name)]
        return (*own, *(["played"] if isinstance(self.algorithm, OffPolicyAlgorithm) else []))

    @property
    def played(self) -> dict[str, Any]:
        """The filled part of the replay buffer, by name of the array."""
        algorithm: Any = self.algorithm
        buffer = algorithm.replay_buffer
        size = buffer.size()
        arrays = {name: rows_of(getattr(buffer, name), slice(size)) for name in _arrays(buffer)}
        return {**arrays, "pos": buffer.pos, "full": buffer.full}

    @played.setter
    def played(self, rows: Mapping[str, Any]) -> None:
        algorithm: Any = self.algorithm
        buffer = algorithm.replay_buffer
        for name in _arrays(buffer):
            _fill(getattr(buffer, name), rows[name])
        buffer.pos, buffer.full = rows["pos"], rows["full"]

    def restart(self, seed: int) -> None:
        """Begin a new episode in every environment, and forget what is remembered of texts."""
        algorithm: Any = self.algorithm
        if isinstance(algorithm, Tuning):
            algorithm.forget()
        algorithm.env.seed(seed)
        algorithm._last_obs = algorithm.env.reset()
        algorithm._last_episode_starts = np.ones(algorithm.n_envs, dtype=np.bool_)
        buffer = getattr(algorithm, "replay_buffer", None)
        if buffer is not None and buffer.size():
            # Rows that follow one another are one episode to some buffers.
            last = buffer.timeouts if isinstance(buffer, NStepReplayBuffer) else buffer.dones
            if isinstance(buffer, NStepReplayBuffer) or buffer.optimize_memory_usage:
                last[buffer.pos - 1] = 1.0

    def learn(self, watchers: Watchers, steps: int, writer: RunWriter | None = None) -> None:
        """Train, and call the watchers."""
        if writer is not None:
            self.algorithm.set_logger(Logger(str(writer.path), [_Rows(writer)]))
        self._let_schedules_follow(watchers)
        told = _Told(self, watchers)
        algorithm: Any = self.algorithm
        algorithm.boundary = told.boundary
        callbacks: list[BaseCallback] = [told]
        if isinstance(self.algorithm, OffPolicyAlgorithm) and waits_for_episodes(self.algorithm):
            callbacks.append(UntilStep())
        self.algorithm.learn(steps, callback=[*callbacks, *self.callbacks], log_interval=1)
        if watchers.stopped:
            # It may end within a rollout, which no row has described yet.
            watchers.rollout(self, None)
        if watchers.stopped or getattr(self.algorithm, "row_at", self.steps) != self.steps:
            self.algorithm.logger.dump(self.steps)

    def close(self) -> None:
        """Let a server that writes forget what it was given."""
        server = getattr(getattr(self.algorithm.policy, "policy", None), "server", None)
        if server is not None:
            server.close()

    def _let_schedules_follow(self, watchers: Watchers) -> None:
        # The library computes it between a rollout and its update, where no callback is.
        algorithm: Any = self.algorithm

        def update(steps: int, most: int) -> None:
            share = max(watchers.progress(), steps / most)
            algorithm._current_progress_remaining = 1.0 - min(share, 1.0)

        algorithm._update_current_progress_remaining = update


def _has(value: Any, name: str) -> bool:
    try:
        return attrgetter(name)(value) is not None
    except AttributeError:
        return False


def _arrays(buffer: Any) -> list[str]:
    names = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
    return [name for name in names if hasattr(buffer, name)]


def _fill(array: Any, rows: Any) -> None:
    """Write the first rows of an array, or of each in a dictionary."""
    if isinstance(array, dict):
        for key, part in array.items():
            _fill(part, rows[key])
    else:
        array[: len(rows)] = rows


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

    def boundary(self) -> None:
        """Say that the training can be cut here."""
        self._on_rollout_start()
        self.watchers.boundary(self.training)

    def _on_training_start(self) -> None:
        self.watchers.begin(self.training)
        self._updates = self.model._n_updates

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
            stamps = (getattr(buffer, name, None) for name in ("versions", "gaps"))
            rollout = Rollout(buffer.actions, buffer.observations, *stamps)
        self.watchers.rollout(self.training, rollout)

    def _on_training_end(self) -> None:
        self._on_rollout_start()
