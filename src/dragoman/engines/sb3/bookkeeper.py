"""Writes what happens in a training into its run folder."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter

from dragoman.engines.sb3.budget import total_cost
from dragoman.engines.weights import is_finite, tensors_of
from dragoman.roles.observe.observer import AnyObserver
from dragoman.roles.reward.rewarder import Rewarder
from dragoman.roles.reward.vector import RewardVector
from dragoman.run import RunWriter, diverged
from dragoman.types import LanguageModel
from dragoman.vector import EpisodeRecorder

RETURN_WINDOW = 100
CHECKPOINT_SECONDS = 30.0
CHECK_STEPS = 100
"""Least environment steps between two looks at whether the weights are finite."""


class MetricsWriter(KVWriter):
    """Sends the logger's rows to the run folder."""

    def __init__(self, writer: RunWriter) -> None:
        self.writer = writer

    def write(
        self,
        key_values: dict[str, Any],
        key_excluded: dict[str, tuple[str, ...]],
        step: int = 0,
    ) -> None:
        """Write a row."""
        self.writer.metric({"step": step, **key_values})

    def close(self) -> None:
        """Leave closing to the run folder's owner."""


class Bookkeeper(BaseCallback):
    """Writes episodes and checkpoints, and adds our own columns to the metrics."""

    def __init__(
        self,
        writer: RunWriter,
        recorder: EpisodeRecorder,
        observer: AnyObserver | None,
        rewards: RewardVector | None,
    ) -> None:
        super().__init__()
        self.writer = writer
        self.recorder = recorder
        self.observer = observer
        self.rewards = rewards
        self.models = models_of(observer, rewards)
        self.terms: deque[dict[str, float]] = deque(maxlen=RETURN_WINDOW)
        self.returns: deque[float] = deque(maxlen=RETURN_WINDOW)
        self.episodes = 0
        self._checked_at = 0
        self._saved_at = time.monotonic()
        self._started_at = time.monotonic()

    def save(self) -> None:
        """Write the weights as they are now.

        Raises:
            DivergenceError: They are no finite numbers any more.
        """
        rewarder = None if self.rewards is None else self.rewards.rewarder
        self.writer.save_weights(
            tensors_of(self.model.policy, self.observer, rewarder), steps=self.model.num_timesteps
        )
        self._saved_at = time.monotonic()

    def _on_step(self) -> bool:
        finished = list(self.recorder.drain())
        # Both count the same episodes, in the same order.
        terms = [{}] * len(finished) if self.rewards is None else list(self.rewards.drain())
        for episode, own in zip(finished, terms, strict=True):
            self.episodes += 1
            self.terms.append(own)
            self.returns.append(episode.episode_return)
            self.writer.episode(
                {
                    "step": self.num_timesteps,
                    "env": episode.env,
                    "return": episode.episode_return,
                    "length": episode.length,
                    "terminated": episode.terminated,
                    "truncated": episode.truncated,
                    **{f"reward/{name}": value for name, value in own.items()},
                }
            )
            self.record()
        return True

    def _on_rollout_start(self) -> None:
        # Every update of the on-policy algorithms; the others have one every few steps.
        if self.num_timesteps - self._checked_at >= CHECK_STEPS:
            self._checked_at = self.num_timesteps
            if not is_finite(self.model.policy):
                raise diverged("weights", self.num_timesteps)

    def _on_rollout_end(self) -> None:
        self.record()
        if time.monotonic() - self._saved_at > CHECKPOINT_SECONDS:
            self.save()

    def record(self) -> None:
        """Put our own columns into the next row of the metrics."""
        if self.returns:
            self.logger.record("rollout/return_mean", float(np.mean(self.returns)))
        self.logger.record("rollout/episodes", self.episodes)
        seconds = time.monotonic() - self._started_at
        self.logger.record("time/seconds", seconds)
        shortened = getattr(self.observer, "shortened", None)
        if shortened is not None:
            self.logger.record("prompt/shortened", shortened)
        if self.rewards is not None:
            self._record_rewards(self.rewards.rewarder)
        if self.models:
            cost = total_cost(self.models)
            for name in ("texts", "texts_remembered", "tokens", "tokens_shared"):
                self.logger.record(f"model/{name}", getattr(cost, name))
            self.logger.record("model/gigaflops", cost.flops / 1e9)
            self.logger.record("time/model_seconds", cost.seconds)
            self.logger.record("time/tokens_per_second", cost.tokens / max(seconds, 1e-9))

    def _record_rewards(self, rewarder: Rewarder) -> None:
        """Record means of the terms over the last episodes, their weights and their failures."""
        for name in self.terms[-1] if self.terms else ():
            mean = float(np.mean([terms[name] for terms in self.terms]))
            self.logger.record(f"reward/{name}", mean)
        self.logger.record("reward_weight/env", rewarder.env_weight)
        for name, term in rewarder.terms.items():
            self.logger.record(f"reward_weight/{name}", term.weight)
            self.logger.record(f"reward_skipped/{name}", term.skipped)


def models_of(observer: AnyObserver | None, rewards: RewardVector | None) -> list[LanguageModel]:
    """Return the different language models that the roles ask."""
    found = [] if observer is None or observer.model is None else [observer.model]
    found += [] if rewards is None else rewards.rewarder.models
    return list({id(model): model for model in found}.values())
