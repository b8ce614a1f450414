"""Writes what happens in a training into its run folder."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from dragoman.engines.budget import total_cost
from dragoman.engines.stack import RoleStack
from dragoman.engines.watcher import Rollout, Stop, Training, Watcher
from dragoman.engines.weights import is_finite, tensors_of
from dragoman.files import require_room
from dragoman.roles.role import Models
from dragoman.run import LEAST_BYTES, RunWriter, diverged

RETURN_WINDOW = 100
CHECKPOINT_SECONDS = 30.0
CHECK_STEPS = 100
"""Least environment steps between two looks at whether the weights are finite."""


class Bookkeeper(Watcher):
    """Writes episodes and checkpoints, and adds our own columns to the metrics.

    Args:
        writer: The run folder.
        stack: The roles at work.
        models: The language models that they ask.
    """

    resumes = ("of_roles", "returns", "episodes", "seconds", "_checked_at")

    def __init__(self, writer: RunWriter, stack: RoleStack, models: Models) -> None:
        self.writer = writer
        self.stack = stack
        self.models = models
        self.of_roles: deque[dict[str, float]] = deque(maxlen=RETURN_WINDOW)
        self.returns: deque[float] = deque(maxlen=RETURN_WINDOW)
        self.episodes = 0
        self._checked_at = 0
        self._saved_at = time.monotonic()
        self._started_at = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long the training takes already, without the time between a stop and a resumption."""
        return time.monotonic() - self._started_at

    @seconds.setter
    def seconds(self, seconds: float) -> None:
        self._started_at = time.monotonic() - seconds

    def begin(self, training: Training) -> Stop:
        """Refuse a disk without room for the weights and the next ones beside them."""
        tensors = tensors_of(training.weights(), self.stack.state())
        size = sum(tensor.nbytes for tensor in tensors.values())
        require_room(self.writer.path, 2 * size + LEAST_BYTES)
        return None

    def episode(self, training: Training, episode: Mapping[str, Any]) -> Stop:
        """Write the episode."""
        self.episodes += 1
        self.of_roles.append({key: value for key, value in episode.items() if "/" in key})
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
        tensors = tensors_of(training.weights(), self.stack.state())
        self.writer.save_weights(tensors, steps=training.steps)
        self._saved_at = time.monotonic()

    def record(self, training: Training) -> None:
        """Put our own columns into the next row of the metrics."""
        if self.returns:
            training.record("rollout/return_mean", float(np.mean(self.returns)))
        training.record("rollout/episodes", self.episodes)
        training.record("time/seconds", self.seconds)
        shortened = getattr(self.stack.observer, "shortened", None)
        if shortened is not None:
            training.record("prompt/shortened", shortened)
        # Of a user's own roles too: all columns of an episode with a "/" come from roles.
        for name in self.of_roles[-1] if self.of_roles else ():
            mean = float(np.mean([columns[name] for columns in self.of_roles]))
            training.record(name, mean)
        for name, number in self.stack.metrics().items():
            training.record(name, number)
        if self.models.asked:
            cost = total_cost(self.models.asked)
            for name in ("texts", "texts_remembered", "texts_from_disk", "tokens", "tokens_shared"):
                training.record(f"model/{name}", getattr(cost, name))
            training.record("model/gigaflops", cost.flops / 1e9)
            training.record("time/model_seconds", cost.seconds)
            training.record("time/tokens_per_second", cost.tokens / max(self.seconds, 1e-9))
