"""Teaching a small network to act as any policy does: DAgger (Ross et al. 2011).

The student first copies what the teacher does where the teacher goes. Then the two play together,
the student more and more, and the teacher says what it would have done: so the student also
learns what to do where only a student ends up ("A reduction of imitation learning and structured
prediction to no-regret online learning", algorithm 3.1, with beta_i = decay^(i-1)).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from dragoman.agents.distill.cloning import choices, fit, spread_of
from dragoman.agents.distill.dataset import (
    Dataset,
    RunningEnvs,
    StudentSpaces,
    ValidActions,
    joined,
    visit,
)
from dragoman.agents.distill.student import Student, shape_of
from dragoman.agents.evaluate import ActFunction, Evaluation, play
from dragoman.environments import make_environment
from dragoman.errors import ConfigError
from dragoman.maths.seeds import derive_seed
from dragoman.settings import check_fields, check_least
from dragoman.stats.aggregates import mean
from dragoman.stats.bootstrap import bootstrap_interval
from dragoman.types import FloatArray, Info

OnStep = Callable[[str, int, int], None]
"""Called with what is going on, how much of it is done, and how much it is in all."""


@dataclass(frozen=True)
class Distillation:
    """How a student is taught.

    Attributes:
        steps: States that the teacher labels, over all rounds; each is a question to the model.
        rounds: How often a student is trained on all states so far.
        decay: In round i, counted from 0, an action is the teacher's with probability decay^i.
        hidden: Units of the student's hidden layers.
        epochs: Passes over the states in each round.
        batch_size: States a step of the training.
        learning_rate: Of Adam.
        num_envs: Copies of the environment played side by side; every eighth, and the last, is
            held out.
    """

    steps: int = 20_000
    rounds: int = 5
    decay: float = 0.5
    hidden: tuple[int, ...] = (64, 64)
    epochs: int = 20
    batch_size: int = 256
    learning_rate: float = 1e-3
    num_envs: int = 16

    def __post_init__(self) -> None:
        check_fields(self)
        check_least(self, rounds=1, epochs=1, batch_size=1, num_envs=2)
        if self.steps < self.rounds * self.num_envs:
            raise ConfigError(
                f"steps is {self.steps}, which is no step for each of {self.num_envs} copies of "
                f"the environment in {self.rounds} rounds",
                cure=f"raise steps to {self.rounds * self.num_envs} or more",
            )
        if not 0 <= self.decay <= 1:
            raise ConfigError(f"decay is {self.decay}", cure="choose a number from 0 to 1")


@dataclass(frozen=True)
class Round:
    """One student.

    Attributes:
        share: Probability that an action before it was a student's.
        states: Labelled states behind it, without the held-out ones.
        agreement: Share of all held-out states in which it does what the teacher does.
    """

    share: float
    states: int
    agreement: float


@dataclass(frozen=True)
class Distilled:
    """A student, and how it compares with its teacher.

    Attributes:
        student: The student of the round that agreed best on the held-out states.
        rounds: All rounds.
        kept: Number of that round, counted from 0.
        steps: States that the teacher labelled for training and held-out states.
        teacher: Its evaluation.
        followed: The student's evaluation, on the same episodes.
        teacher_states: Share of the states of the teacher's evaluation in which the student would
            have done the same.
        student_states: Share of the states of the student's evaluation in which the teacher would.
        path: The folder, where it was written.
        sizes: Weights of student and language model, and bytes of files.
    """

    student: Student
    rounds: tuple[Round, ...]
    kept: int
    steps: int
    teacher: Evaluation
    followed: Evaluation
    teacher_states: float
    student_states: float
    path: Path | None = None
    sizes: Mapping[str, int | None] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, with 95 % bootstrap intervals over episodes."""
        teacher, student = np.array(self.teacher.returns), np.array(self.followed.returns)
        return {
            "agreement": {
                "held_out": self.rounds[self.kept].agreement,
                "teacher_states": self.teacher_states,
                "student_states": self.student_states,
            },
            "returns": {
                "teacher": _interval(teacher),
                "student": _interval(student),
                "difference": _interval(student - teacher),
            },
            "episodes": {"teacher": self.teacher.to_dict(), "student": self.followed.to_dict()},
            "steps": self.steps,
            "rounds": [asdict(item) for item in self.rounds],
            "kept_round": self.kept,
            "sizes": dict(self.sizes),
        }


def teach(
    teacher: ActFunction,
    spec: EnvSpec,
    env_settings: Mapping[str, Any],
    settings: Distillation = Distillation(),
    *,
    valid: ValidActions | None = None,
    episodes: int = 20,
    seed: int = 0,
    on_step: OnStep = lambda what, done, total: None,
) -> Distilled:
    """Train a student of any policy, and evaluate both.

    Args:
        teacher: Observations and infos in, actions out; the same ones for the same states.
        spec: The environment.
        env_settings: Keyword arguments of its constructor.
        settings: How the student is taught.
        valid: Info to the valid actions, if the student may see them. The teacher
            must choose from them.
        episodes: How many episodes to evaluate both on.
        seed: Of environments, weights and mixture.
        on_step: Called after every step with how far it is.
    """
    if episodes < 1:
        raise ConfigError(f"episodes is {episodes}, but must be at least 1", cure="raise it")
    env = make_environment(spec, env_settings)
    spaces = env.observation_space, env.action_space
    env.close()
    shape = shape_of(*spaces, settings.hidden, masked=valid is not None)
    student_spaces = StudentSpaces(shape, *spaces, valid)
    copies = RunningEnvs(spec, env_settings, settings.num_envs, seed)
    try:
        students, dataset, sizes = _rounds(teacher, student_spaces, copies, settings, seed, on_step)
    finally:
        copies.close()
    spread = spread_of(dataset.labels)
    agreements = _agreements(students, dataset, student_spaces, spread)
    rounds = tuple(
        Round(share=1 - settings.decay**i, states=sizes[i], agreement=agreements[i])
        for i in range(len(students))
    )
    # Of students that agree equally well, the one that has seen most.
    kept = max(range(len(rounds)), key=lambda i: (rounds[i].agreement, i))
    student = students[kept]

    def evaluated(what: str, act: ActFunction, other: ActFunction) -> tuple[Evaluation, float]:
        watched = _Watched(act, other, student_spaces, spread)
        result = play(
            spec,
            env_settings,
            watched,
            episodes=episodes,
            seed=seed,
            on_step=lambda running: on_step(what, episodes - running, episodes),
        )
        return result, watched.agreement

    its_own = student_spaces.act_of(student)
    teachers, teacher_states = evaluated("evaluate the teacher", teacher, its_own)
    students_, student_states = evaluated("evaluate the student", its_own, teacher)
    return Distilled(
        student=student,
        rounds=rounds,
        kept=kept,
        steps=len(dataset),
        teacher=teachers,
        followed=students_,
        teacher_states=teacher_states,
        student_states=student_states,
    )


def _agreements(
    students: Sequence[Student], dataset: Dataset, student_spaces: StudentSpaces, spread: FloatArray
) -> list[float]:
    """Return the share of held-out states in which each student does what the teacher would."""
    held_out = dataset.of(dataset.is_held_out)
    return [
        float(student_spaces.agrees(choices(student, held_out), held_out.labels, spread).mean())
        for student in students
    ]


def _rounds(
    teacher: ActFunction,
    student_spaces: StudentSpaces,
    copies: RunningEnvs,
    settings: Distillation,
    seed: int,
    on_step: OnStep,
) -> tuple[list[Student], Dataset, list[int]]:
    """Return the students of all rounds, all states, and how many each was trained on."""
    generator = np.random.default_rng(derive_seed("distill mixture", seed))
    each = settings.steps // (settings.rounds * len(copies))
    total = each * len(copies) * settings.rounds
    parts: list[Dataset] = []
    students: list[Student] = []
    sizes: list[int] = []
    done = 0
    for i in range(settings.rounds):

        def count(states: int, i: int = i) -> None:
            nonlocal done
            done += states
            on_step(f"round {i + 1} of {settings.rounds}", done, total)

        part = visit(
            copies,
            student_spaces,
            teacher,
            students[-1] if students else None,
            steps=each,
            share=1 - settings.decay**i,
            generator=generator,
            on_step=count,
        )
        parts.append(part)
        whole = joined(parts)
        known = whole.of(~whole.is_held_out)
        sizes.append(len(known))
        students.append(
            fit(
                student_spaces,
                known,
                epochs=settings.epochs,
                batch_size=settings.batch_size,
                learning_rate=settings.learning_rate,
                seed=derive_seed("student", seed, i),
            )
        )
    return students, joined(parts), sizes


class _Watched:
    """Plays as one policy does, and notes how often another would have done the same."""

    def __init__(
        self,
        act: ActFunction,
        other: ActFunction,
        student_spaces: StudentSpaces,
        spread: FloatArray,
    ) -> None:
        self._act, self._other, self._student_spaces, self._spread = (
            act,
            other,
            student_spaces,
            spread,
        )
        self._agreed: list[bool] = []

    def __call__(self, observations: Sequence[Any], infos: Sequence[Info]) -> Sequence[Any]:
        result = self._act(observations, infos)
        wanted = self._student_spaces.labels(self._other(observations, infos))
        self._agreed += self._student_spaces.agrees(
            self._student_spaces.labels(result), wanted, self._spread
        ).tolist()
        return result

    @property
    def agreement(self) -> float:
        return float(np.mean(self._agreed))


def _interval(values: NDArray[np.float64]) -> dict[str, float | None]:
    """Return a mean over episodes with its 95 % interval, which one episode does not have."""
    interval = bootstrap_interval(
        values,
        statistic=mean,
        generator=np.random.default_rng(0),
        method="percentile",
    )
    limits = {"low": interval.low, "high": interval.high}
    finite = {key: value if np.isfinite(value) else None for key, value in limits.items()}
    return {"mean": interval.estimate, **finite}
