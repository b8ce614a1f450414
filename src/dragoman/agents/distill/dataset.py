"""States that a policy visits, with what a teacher would do in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from dragoman.agents.distill.student import Shape, Student
from dragoman.agents.evaluate import ActFunction
from dragoman.environments import make_environment
from dragoman.environments.indices import Indices
from dragoman.maths.seeds import derive_seed
from dragoman.types import BoolArray, FloatArray, Info

CLOSE = 0.05
"""Share of an action's range within which two continuous actions agree."""

HELD_OUT = 8
"""Every so many copies of the environment, one is played for the held-out states."""

ValidActions = Callable[[Info], BoolArray]


@dataclass(frozen=True)
class Dataset:
    """Visited states, and the teacher's actions in them.

    Attributes:
        observations: float32 ``(S, D)``, flattened.
        labels: The teacher's actions, int64 ``(S,)`` counted from 0, or float32 ``(S, A)``.
        masks: bool ``(S, K)``, ``True`` where valid; ``(S, 0)`` where there are no masks.
        is_held_out: bool ``(S,)``.
    """

    observations: FloatArray
    labels: NDArray[Any]
    masks: BoolArray
    is_held_out: BoolArray

    def __len__(self) -> int:
        return len(self.labels)

    def of(self, which: BoolArray) -> Dataset:
        """Return some of the states."""
        return Dataset(
            self.observations[which], self.labels[which], self.masks[which], self.is_held_out[which]
        )


def joined(parts: Sequence[Dataset]) -> Dataset:
    """Return the states of all parts, one part after the other."""
    return Dataset(
        np.concatenate([part.observations for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.masks for part in parts]),
        np.concatenate([part.is_held_out for part in parts]),
    )


@dataclass(frozen=True)
class StudentSpaces:
    """What a student sees of an environment, and how its actions compare with another's.

    Attributes:
        shape: Of the student.
        observations: Space of the raw observations.
        actions: Space of the actions.
        valid: Info to the valid actions ``(K,)``, if the student may see them.
    """

    shape: Shape
    observations: gym.Space[Any]
    actions: gym.Space[Any]
    valid: ValidActions | None

    def flat(self, observations: Sequence[Any]) -> FloatArray:
        """Return raw observations as float32 ``(B, D)``."""
        rows = [gym.spaces.flatten(self.observations, observation) for observation in observations]
        return np.stack([np.asarray(row, np.float32) for row in rows])

    def masks(self, infos: Sequence[Mapping[str, Any]]) -> BoolArray:
        """Return which actions are valid, bool ``(B, K)``, or ``(B, 0)``."""
        if self.valid is None:
            return np.empty((len(infos), 0), np.bool_)
        return np.stack([self.valid(info) for info in infos])

    def labels(self, actions: Sequence[Any]) -> NDArray[Any]:
        """Return actions as labels, int64 ``(B,)`` or float32 ``(B, A)``."""
        if self.shape.actions:
            numbers = np.asarray([int(action) for action in actions], np.int64)
            return np.asarray(Indices(self.actions).indices(numbers))
        return np.asarray(actions, np.float32).reshape(len(actions), -1)

    def act_of(self, student: Student) -> ActFunction:
        """Return a student as something that plays."""

        def act(observations: Sequence[Any], infos: Sequence[Mapping[str, Any]]) -> list[Any]:
            return list(student.act(self.flat(observations), self.masks(infos)))

        return act

    def agrees(self, found: NDArray[Any], wanted: NDArray[Any], spread: FloatArray) -> BoolArray:
        """Return where two batches of labels agree, bool ``(B,)``.

        Continuous actions do within a twentieth of their range, or of four times the spread of
        the teacher's where the range has no bounds.

        Args:
            found: Labels.
            wanted: Labels.
            spread: Standard deviations of the teacher's continuous actions ``(A,)``.
        """
        if self.shape.actions:
            return np.asarray(found == wanted)
        assert isinstance(self.actions, gym.spaces.Box)
        span = (self.actions.high - self.actions.low).reshape(-1)
        span = np.where(np.isfinite(span), span, 4 * spread)
        return np.asarray((np.abs(found - wanted) <= CLOSE * span).all(axis=1))


class RunningEnvs:
    """Copies of an environment that are played on and on.

    Args:
        spec: The environment.
        settings: Keyword arguments of its constructor.
        count: Number of copies.
        seed: Names the seeds of their first episodes.
    """

    def __init__(self, spec: EnvSpec, settings: Mapping[str, Any], count: int, seed: int) -> None:
        self._envs = [make_environment(spec, settings, index=i) for i in range(count)]
        seeds = [derive_seed("distill", seed, i) for i in range(count)]
        starts = [env.reset(seed=one) for env, one in zip(self._envs, seeds, strict=True)]
        self.observations: list[Any] = [start[0] for start in starts]
        self.infos: list[Mapping[str, Any]] = [start[1] for start in starts]

    def __len__(self) -> int:
        return len(self._envs)

    def step(self, actions: Sequence[Any]) -> None:
        """Step every copy, and reset those whose episode has ended."""
        for i, (env, action) in enumerate(zip(self._envs, actions, strict=True)):
            observation, _, ended, cut, info = env.step(action)
            if ended or cut:
                observation, info = env.reset()
            self.observations[i], self.infos[i] = observation, info

    def close(self) -> None:
        """Close every copy."""
        for env in self._envs:
            env.close()


def visit(
    copies: RunningEnvs,
    student_spaces: StudentSpaces,
    teacher: ActFunction,
    student: Student | None,
    *,
    steps: int,
    share: float,
    generator: np.random.Generator,
    on_step: Callable[[int], None] = lambda states: None,
) -> Dataset:
    """Play with a mixture of both, and ask the teacher everywhere.

    Args:
        copies: Where to play on.
        student_spaces: What the student sees.
        teacher: Chooses the labels, and the actions the student does not.
        student: Chooses the other actions, if there is one yet.
        steps: Steps of every copy.
        share: Probability that an action is the student's.
        generator: Draws whose it is.
        on_step: Called after every step with the number of states that it labelled.
    """
    count = len(copies)
    held = np.arange(1, count + 1) % HELD_OUT == 0
    held[-1] = True
    parts = []
    for _ in range(steps):
        theirs = list(teacher(copies.observations, copies.infos))
        part = Dataset(
            student_spaces.flat(copies.observations),
            student_spaces.labels(theirs),
            student_spaces.masks(copies.infos),
            held,
        )
        parts.append(part)
        actions = theirs
        if student is not None:
            ours = student.act(part.observations, part.masks)
            is_ours = generator.random(count) < share
            actions = [ours[i] if is_ours[i] else theirs[i] for i in range(count)]
        copies.step(actions)
        on_step(count)
    return joined(parts)
