"""Trials that a program must pass before it trains anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dragoman.errors import ProgramError
from dragoman.programs.program import LARGEST, Program, check_largest
from dragoman.programs.transitions import Transitions

Values: TypeAlias = Mapping[str, NDArray[np.float64]]
"""Terms ``(M, C)`` by function."""


@dataclass(frozen=True)
class Checks:
    """What the values of a program must keep to.

    Attributes:
        largest: Largest absolute value of one term in one step, in training too.
        may_stand_still: Whether a function may give the same in every state.
    """

    largest: float = LARGEST
    may_stand_still: bool = False

    def __post_init__(self) -> None:
        check_largest(self.largest)


def check_program(
    load: Callable[[], Program], transitions: Transitions, checks: Checks = Checks()
) -> tuple[Program, Values]:
    """Try a program on many transitions, and again in another order in a fresh copy of it.

    Args:
        load: Loads a new copy of the program, as `Program.load` does.
        transitions: What to try it on.
        checks: What its values must keep to.

    Returns:
        The program, and the values that it gave.

    Raises:
        ProgramError: The program fails, gives other names or no numbers, numbers that are not
            finite or too large, or something else the second time. It takes at most two loads
            and two batches a function, each within the time of the sandbox.
    """
    with ExitStack() as stack:
        program = load()
        stack.callback(program.close)
        with closing(load()) as copy:
            values = {
                name: _try(program, copy, name, transitions, checks) for name in program.functions
            }
        stack.pop_all()
    return program, MappingProxyType(values)


def _try(
    program: Program, copy: Program, function: str, transitions: Transitions, checks: Checks
) -> NDArray[np.float64]:
    rows = transitions.rows(function)
    values = program.values(function, rows)
    terms = program.terms(function)
    again = copy.values(function, rows[::-1])[::-1]
    again = again[:, [copy.terms(function).index(term) for term in terms]]
    if not np.array_equal(values, again):
        row, column = map(int, np.argwhere(values != again)[0])
        raise ProgramError(
            f"{terms[column]!r} of {function} is {values[row, column]} and then "
            f"{again[row, column]} for the same input",
            cure="compute from the arguments alone: no randomness, nothing kept between calls",
        )
    row, column = map(int, np.unravel_index(np.abs(values).argmax(), values.shape))
    if abs(values[row, column]) > checks.largest:
        raise ProgramError(
            f"{terms[column]!r} of {function} reaches {values[row, column]:.6g}, "
            f"beyond ±{checks.largest:g}",
            cure="scale or bound every term, as with min, max or tanh",
        )
    if not checks.may_stand_still and not np.ptp(values, axis=0).any():
        raise ProgramError(
            f"{function} gives the same in all of {len(rows):,} transitions",
            cure="let at least one term depend on what changes",
        )
    return values
