"""A program that a language model wrote, as a term of the reward, run in a sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dragoman.errors import ProgramError
from dragoman.programs.file import open_program
from dragoman.programs.program import LARGEST, Program, Row, check_largest

Function: TypeAlias = Literal["potential", "reward"]

TAKES: dict[Function, frozenset[str]] = {
    "potential": frozenset({"observations"}),
    "reward": frozenset({"observations", "raw_actions", "previous_observations"}),
}
"""What the functions of a program are called with."""


@dataclass(frozen=True)
class Written:
    """One function of a program in a file, such as the ``program.py`` of a search.

    Attributes:
        program: The file, from the current folder.
        function: ``potential(state)``, or ``reward(state, action, next_state)``, which is no
            function of the state and so a bonus. Named terms are added up.
        largest: Largest absolute value of one term; a larger one is an error, as NaN is.
    """

    program: str
    function: Function = "potential"
    largest: float = LARGEST

    def __post_init__(self) -> None:
        check_largest(self.largest)

    @property
    def takes(self) -> frozenset[str]:
        """What the function is called with."""
        return TAKES[self.function]

    def fitted(self, env: Any) -> WrittenFunction:
        """Return the function, loaded for the numbers of an environment; close it in the end.

        Raises:
            ConfigError: There is no such file, or its program cannot be used.
            MissingExtraError: The extra ``written`` is not installed.
        """
        program = open_program(self.program, self.function, env, self.largest)
        return WrittenFunction(program, self.function, self.program)


@dataclass(frozen=True)
class WrittenFunction:
    """A function of a program, called as any other reward.

    Attributes:
        program: The program.
        function: Which function of it.
        name: What errors call the program.
    """

    program: Program
    function: Function
    name: str = "the program"

    @property
    def takes(self) -> frozenset[str]:
        """What the function is called with."""
        return TAKES[self.function]

    def __call__(
        self,
        observations: Sequence[Any],
        *,
        raw_actions: Sequence[Any] = (),
        previous_observations: Sequence[Any] = (),
    ) -> NDArray[np.float64]:
        """Return ``(B,)`` sums of the terms.

        Raises:
            ProgramError: The program fails, or a term is not finite or too large; with the state.
        """
        rows = self.rows(observations, raw_actions, previous_observations)
        try:
            summed: NDArray[np.float64] = self.program.values(self.function, rows).sum(axis=1)
        except ProgramError as error:
            raise ProgramError(f"{self.name}: {error.problem}", cure=error.cure) from None
        return summed

    def rows(
        self,
        observations: Sequence[Any],
        raw_actions: Sequence[Any],
        previous_observations: Sequence[Any],
    ) -> list[Row]:
        """Return the arguments of the function, once a state or transition."""
        schema = self.program.schema
        states = [schema.read_state(observation) for observation in observations]
        if self.function == "potential":
            return [(state,) for state in states]
        before = [
            schema.read_state(previous_observation)
            for previous_observation in previous_observations
        ]
        acted: list[Any] = [schema.read_action(action) for action in raw_actions]
        if not schema.action:
            acted = [numbers[0] for numbers in acted]
        return list(zip(before, acted, states, strict=True))

    def close(self) -> None:
        """Give back what the program runs in."""
        self.program.close()
