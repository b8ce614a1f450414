"""What watches a training: the rows of the run folder, budgets, signs of collapse, progress.

A watcher knows no training library. An engine calls `Watchers` with what happens, and it calls each
watcher in turn:

    stage                      before the training, with what is done for it
    begin                      before the first step, after the first reset
    step, episode              after each step of all environments, and once a finished episode
    rollout                    when the steps for the next update are taken
    update                     after an update of the policy
    boundary                   between an update and the next step: a training can be cut here
    end                        at the end, also after Ctrl-C or an error
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dragoman.types import Info

if TYPE_CHECKING:
    from torch import Tensor, nn

    from dragoman.engines.stack import RoleStack
    from dragoman.environments.vector import Episode, EpisodeRecorder

Stop: TypeAlias = bool | None
"""True stops the training with the next step."""
Own: TypeAlias = Mapping[str, float]
"""Columns of roles in the row of an episode."""


class Training(Protocol):
    """A training at work, as an engine shows it to watchers."""

    @property
    def policy(self) -> nn.Module:
        """What is trained, as the engine's own module: for its weights and their gradients."""
        ...

    @property
    def actions(self) -> gym.Space[Any]:
        """What the policy chooses from."""
        ...

    @property
    def steps(self) -> int:
        """Environment steps taken so far, over all copies."""
        ...

    @property
    def row(self) -> Mapping[str, Any]:
        """Columns of the next row of the metrics, as far as they are known."""
        ...

    def record(self, name: str, value: Any) -> None:
        """Put a column into the next row of the metrics."""
        ...

    def weights(self) -> Mapping[str, Tensor]:
        """Return what was trained, by the names of `dragoman.engines.policies`."""
        ...


@dataclass(frozen=True)
class Rollout:
    """The steps that an update learns from.

    Attributes:
        actions: What was chosen, ``(T, N, ...)``.
        observations: What it was chosen from: an array ``(T, N, ...)``, or a dictionary of them.
        versions: Where a server writes, the version of the adapters that wrote each row ``(T, N)``.
        gaps: How far the server's log-probs of each row are from those of the model here.
    """

    actions: NDArray[Any]
    observations: Any
    versions: NDArray[np.int64] | None = None
    gaps: NDArray[np.float32] | None = None


class Watcher:
    """Sees a training. Subclass it, and define what you need.

    Attributes:
        resumes: Names of its attributes that a resumed training has again, as in
            `dragoman.roles.role.RoleVector`. They are set after `begin`.
    """

    resumes: ClassVar[tuple[str, ...]] = ()

    def stage(self, what: str) -> None:
        """Called before the training with each thing that is done for it and takes a while."""

    def begin(self, training: Training) -> Stop:
        """Called before the first step."""
        return None

    def step(self, training: Training, infos: Sequence[Info]) -> Stop:
        """Called after each step of all environments, with the info of each."""
        return None

    def episode(self, training: Training, episode: Mapping[str, Any]) -> Stop:
        """Called with the row of each finished episode, as ``episodes.jsonl`` has it."""
        return None

    def rollout(self, training: Training, rollout: Rollout | None) -> Stop:
        """Called before an update; algorithms that learn from older steps have no rollout."""
        return None

    def update(self, training: Training) -> Stop:
        """Called after an update, with its columns in the row."""
        return None

    def boundary(self, training: Training) -> None:
        """Called between an update and the next step, by engines that can resume a training."""

    def end(self, training: Training) -> None:
        """Called at the end, also after Ctrl-C or an error."""

    def progress(self) -> float:
        """Return the share of the training that is over; schedules follow the largest."""
        return 0.0


class Watchers:
    """Hands on what happens in a training, and the episodes that ended in it.

    Args:
        watchers: Called in this order.
        recorder: The recorder of episodes beneath the algorithm.
        stack: The roles beneath the algorithm, if any.

    Attributes:
        stopped: A watcher has asked to stop.
    """

    def __init__(
        self,
        watchers: Sequence[Watcher],
        recorder: EpisodeRecorder,
        stack: RoleStack | None = None,
    ) -> None:
        self.stopped = False
        self._watchers = watchers
        self._recorder = recorder
        self._stack = stack

    def begin(self, training: Training) -> None:
        """Say that the first step comes next."""
        self._tell("begin", training)

    def step(self, training: Training, infos: Sequence[Info]) -> bool:
        """Say that all environments have taken a step, and return whether to go on."""
        finished = drained(self._recorder, self._stack)
        self.episodes(training, [(training.steps, *episode) for episode in finished])
        self._tell("step", training, infos)
        return not self.stopped

    def episodes(self, training: Training, finished: Iterable[tuple[int, Episode, Own]]) -> None:
        """Say which episodes have finished.

        Args:
            training: The training.
            finished: Of each the step, over all copies, and what `drained` returned.
        """
        for step, episode, own in finished:
            row = {
                "step": step,
                "env": episode.env,
                "return": episode.episode_return,
                "length": episode.length,
                "terminated": episode.terminated,
                "truncated": episode.truncated,
                **own,
            }
            self._tell("episode", training, row)

    def rollout(self, training: Training, rollout: Rollout | None) -> None:
        """Say that an update comes next."""
        self._tell("rollout", training, rollout)

    def update(self, training: Training) -> None:
        """Say that the policy was updated."""
        self._tell("update", training)

    def boundary(self, training: Training) -> None:
        """Say that a training can be cut here."""
        self._tell("boundary", training)

    def end(self, training: Training) -> None:
        """Say that it is over: to each watcher, whatever another one raises."""
        with ExitStack() as stack:
            for watcher in reversed(self._watchers):
                stack.callback(watcher.end, training)

    def progress(self) -> float:
        """Return the largest share of the training that a watcher says is over."""
        return max((watcher.progress() for watcher in self._watchers), default=0.0)

    def _tell(self, event: str, *what: Any) -> None:
        for watcher in self._watchers:
            if getattr(watcher, event)(*what):
                self.stopped = True


def drained(recorder: EpisodeRecorder, stack: RoleStack | None) -> list[tuple[Episode, Own]]:
    """Return the episodes that have finished since the last call, with the columns of roles."""
    finished = list(recorder.drain())
    # All count the same episodes, in the same order.
    count = len(finished)
    of_roles = [{}] * count if stack is None else stack.drain(count)
    return list(zip(finished, of_roles, strict=True))
