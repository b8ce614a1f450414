"""Features that a language model wrote as a program, beside what else the agent sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from dragoman.describe.moment import Moment
from dragoman.errors import ConfigError, ProgramError
from dragoman.maths.seeds import derive_seed
from dragoman.programs.file import open_program
from dragoman.programs.program import LARGEST, Program, check_largest
from dragoman.programs.schema import Schema
from dragoman.types import FloatArray


class Part(Protocol):
    """Some of the numbers that the agent sees."""

    @property
    def size(self) -> int:
        """How many, ``D``."""
        ...

    def __call__(self, moments: Sequence[Moment]) -> FloatArray:
        """Return those of ``B`` moments, float32 ``(B, D)``."""
        ...


@dataclass(frozen=True)
class Written:
    """``features(state)`` of a program in a file, such as the ``program.py`` of a search.

    Attributes:
        program: The file, from the current folder; it runs in a sandbox.
        largest: Largest absolute value of one feature; a larger one is an error, as NaN is.
        random: Show as many random functions of the same numbers instead: the placebo.
    """

    program: str
    largest: float = LARGEST
    random: bool = False

    def __post_init__(self) -> None:
        check_largest(self.largest, "observe.written.largest")

    def fitted(self, env: Any, seed: int) -> WrittenFeatures | RandomFeatures:
        """Return the features, for the numbers of an environment.

        Args:
            env: The environment, or a vector of environments.
            seed: Draws random functions.

        Raises:
            ConfigError: There is no such file, or its program cannot be used.
            SpaceError: The environment's observations or actions are no numbers.
            MissingExtraError: The extra ``written`` is not installed.
        """
        program = open_program(self.program, "features", env, self.largest)
        try:
            written = WrittenFeatures(program, self.program)
        except ProgramError as error:
            raise ConfigError(f"{self.program}: {error.problem}", cure=error.cure) from error
        if not self.random:
            return written
        return RandomFeatures(program.schema, written.size, seed)


class WrittenFeatures:
    """What the function ``features`` of a program says of a state.

    Args:
        program: The program.
        name: What errors call it.

    Attributes:
        program: The same.
        name: The same.
        size: How many features there are.

    Raises:
        ProgramError: It fails in a state of zeros.
    """

    def __init__(self, program: Program, name: str = "in memory") -> None:
        self.program = program
        self.name = name
        # How many there are is known after a first call.
        zeros = [0.0] * len(program.schema.state)
        self.size = program.values("features", [(zeros,)]).shape[1]

    def __call__(self, moments: Sequence[Moment]) -> FloatArray:
        """Return the features of ``B`` moments, float32 ``(B, D)``.

        Raises:
            ProgramError: The program fails, or a feature is not finite or too large; with the
                state.
        """
        read = self.program.schema.read_state
        rows = [(read(moment.observation),) for moment in moments]
        features: FloatArray = self.program.values("features", rows).astype(np.float32)
        return features

    def state(self) -> dict[str, np.ndarray]:
        """Return the text of the program, as bytes."""
        return {"program": np.frombuffer(self.program.source.encode(), np.uint8)}

    def check_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Refuse what `state` returned of another program.

        Raises:
            ConfigError: It is of another.
        """
        if "program" in state and not np.array_equal(state["program"], self.state()["program"]):
            raise ConfigError(
                f"the program {self.name} is not the one that the run was trained with",
                cure="put that one back: its text is 'observer.program' of the run's weights",
            )


class RandomFeatures:
    """Random functions of the numbers that a program would read: tanh(W x + b).

    Entries of W and b are standard normal, as random features are drawn (Rahimi and Recht, 2007);
    numbers with bounds go in as -1 to 1.

    Args:
        schema: How the numbers are read.
        size: How many functions.
        seed: Draws them.
    """

    def __init__(self, schema: Schema, size: int, seed: int) -> None:
        self.size = size
        self._read: Callable[[Any], list[float]] = schema.read_state
        bounds = np.array([(one.low, one.high) for one in schema.state])
        bounds[~np.isfinite(bounds).all(axis=1)] = -1.0, 1.0
        self._middle, self._half = bounds.mean(axis=1), np.ptp(bounds, axis=1) / 2
        generator = np.random.default_rng(derive_seed("random features", seed))
        self._weights = generator.normal(size=(len(bounds), size))
        self._shift = generator.normal(size=size)

    def __call__(self, moments: Sequence[Moment]) -> FloatArray:
        """Return the features of ``B`` moments, float32 ``(B, D)``."""
        numbers = np.array([self._read(moment.observation) for moment in moments])
        scaled = (numbers - self._middle) / np.where(self._half > 0, self._half, 1.0)
        features: FloatArray = np.tanh(scaled @ self._weights + self._shift).astype(np.float32)
        return features
