"""Writes what happens in a training into its run folder."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv

from dragoman.engines.budget import total_cost
from dragoman.engines.watcher import Rollout, Stop, Training, Watcher
from dragoman.engines.weights import is_finite, tensors_of
from dragoman.roles.observe.observer import AnyObserver
from dragoman.roles.reward.rewarder import Rewarder
from dragoman.roles.reward.vector import RewardVector
from dragoman.run import RunWriter, diverged
from dragoman.types import LanguageModel

RETURN_WINDOW = 100
CHECKPOINT_SECONDS = 30.0
CHECK_STEPS = 100
"""Least environment steps between two looks at whether the weights are finite."""
TERM = "reward/"
"""Beginning of an episode's columns that are sums of the reward's terms."""


class Bookkeeper(Watcher):
    """Writes episodes and checkpoints, and adds our own columns to the metrics.

    Args:
        writer: The run folder.
        observer: The observe role, if any.
        rewards: The reward role, if any.
        own: Wrappers of a user's own roles, by name.
        models: Language models that these ask.
    """

    def __init__(
        self,
        writer: RunWriter,
        observer: AnyObserver | None,
        rewards: RewardVector | None,
        own: Mapping[str, VectorEnv[Any, Any, Any]] = MappingProxyType({}),
        models: Sequence[LanguageModel] = (),
    ) -> None:
        self.writer = writer
        self.observer = observer
        self.rewarder = None if rewards is None else rewards.rewarder
        self.own = own
        self.models = models_of(observer, rewards, models)
        self.terms: deque[dict[str, float]] = deque(maxlen=RETURN_WINDOW)
        self.returns: deque[float] = deque(maxlen=RETURN_WINDOW)
        self.episodes = 0
        self._checked_at = 0
        self._saved_at = time.monotonic()
        self._started_at = time.monotonic()

    def episode(self, training: Training, episode: Mapping[str, Any]) -> Stop:
        """Write the episode."""
        self.episodes += 1
        self.terms.append(
            {
                key.removeprefix(TERM): value
                for key, value in episode.items()
                if key.startswith(TERM)
            }
        )
        self.returns.append(episode["return"])
        self.writer.episode(episode)
        self.record(training)
        return None

    def rollout(self, training: Training, rollout: Rollout | None) -> Stop:
        """Complete the row, and save from time to time."""
        self.record(training)
        if time.monotonic() - self._saved_at > CHECKPOINT_SECONDS:
            self.save(training)
        return None

    def update(self, training: Training) -> Stop:
        """Look whether the weights are finite: some algorithms update every few steps."""
        if training.steps - self._checked_at >= CHECK_STEPS:
            self._checked_at = training.steps
            if not is_finite(training.policy):
                raise diverged("weights", training.steps)
        return None

    def end(self, training: Training) -> None:
        """Save: what was learnt so far stays usable."""
        self.save(training)

    def save(self, training: Training) -> None:
        """Write the weights as they are now.

        Raises:
            DivergenceError: They are no finite numbers any more.
        """
        tensors = tensors_of(training.weights(), self.observer, self.rewarder)
        self.writer.save_weights(tensors, steps=training.steps)
        self._saved_at = time.monotonic()

    def record(self, training: Training) -> None:
        """Put our own columns into the next row of the metrics."""
        if self.returns:
            training.record("rollout/return_mean", float(np.mean(self.returns)))
        training.record("rollout/episodes", self.episodes)
        seconds = time.monotonic() - self._started_at
        training.record("time/seconds", seconds)
        shortened = getattr(self.observer, "shortened", None)
        if shortened is not None:
            training.record("prompt/shortened", shortened)
        if self.rewarder is not None:
            self._record_rewards(training, self.rewarder)
        for name, wrapper in self.own.items():
            numbers: Mapping[str, float] = wrapper.metrics() if hasattr(wrapper, "metrics") else {}
            for key, number in numbers.items():
                training.record(f"{name}/{key}", float(number))
        if self.models:
            cost = total_cost(self.models)
            for name in ("texts", "texts_remembered", "tokens", "tokens_shared"):
                training.record(f"model/{name}", getattr(cost, name))
            training.record("model/gigaflops", cost.flops / 1e9)
            training.record("time/model_seconds", cost.seconds)
            training.record("time/tokens_per_second", cost.tokens / max(seconds, 1e-9))

    def _record_rewards(self, training: Training, rewarder: Rewarder) -> None:
        """Record means of the terms over the last episodes, their weights and their failures."""
        for name in self.terms[-1] if self.terms else ():
            mean = float(np.mean([terms[name] for terms in self.terms]))
            training.record(f"{TERM}{name}", mean)
        training.record("reward_weight/env", rewarder.env_weight)
        for name, term in rewarder.terms.items():
            training.record(f"reward_weight/{name}", term.weight)
            training.record(f"reward_skipped/{name}", term.skipped)


def models_of(
    observer: AnyObserver | None, rewards: RewardVector | None, own: Sequence[LanguageModel]
) -> list[LanguageModel]:
    """Return the different language models that the roles ask, a user's own roles too."""
    found = [*own]
    found += [] if observer is None else list(observer.models)
    found += [] if rewards is None else rewards.rewarder.models
    return list({id(model): model for model in found}.values())
