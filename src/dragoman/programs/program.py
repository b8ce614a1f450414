"""A program that a language model wrote, checked and ready to be called."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dragoman.errors import ConfigError, ProgramError, SpaceError, did_you_mean
from dragoman.programs.driver import LINES_BEFORE, MOST_TERMS, PRELUDE, drivers, typing_of, wrapped
from dragoman.programs.rules import check, check_signatures
from dragoman.programs.sandbox import Failure, Sandbox, Session
from dragoman.programs.schema import Schema
from dragoman.programs.source import Source

FUNCTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "features": ("state",),
        "potential": ("state",),
        "reward": ("state", "action", "next_state"),
    }
)
"""What a program may define, and the parameters of each."""

LARGEST = 100.0
"""Largest absolute value of one term, unless another is given."""

MOST_NUMBERS = 100_000
"""Numbers that go into the sandbox in one trip; its memory is bounded."""

THE_PROGRAM, THE_DRIVERS = 1, 2
"""Numbers of the codes of a session; the first is the prelude."""

Row: TypeAlias = Sequence[Any]
"""One argument a parameter: the numbers of a state, and of an action."""


def check_largest(largest: float, key: str = "largest") -> None:
    """Refuse a bound that no term can keep to.

    Args:
        largest: Largest absolute value of one term.
        key: What the setting is called.

    Raises:
        ConfigError: It is not above 0.
    """
    if not largest > 0:
        raise ConfigError(f"{key} is {largest}, but must be above 0", cure="raise it")


@dataclass(frozen=True)
class Program:
    """Functions that a language model wrote, in a sandbox.

    Nothing lasts from one call to the next: the program is defined again for each row, so that
    what a function gives depends on its arguments alone.

    Attributes:
        source: The text of the program.
        schema: What it may know of the environment.
        functions: Which functions it was loaded for.
        session: What it runs in.
        largest: Largest absolute value of one term.
        parsed: Its syntax tree.
    """

    source: str
    schema: Schema
    functions: tuple[str, ...]
    session: Session
    largest: float
    parsed: Source = field(repr=False)
    _terms: dict[str, list[str]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def load(
        cls,
        source: str,
        schema: Schema,
        functions: Sequence[str] = ("reward",),
        *,
        sandbox: Sandbox,
        largest: float = LARGEST,
    ) -> Program:
        """Read and check a program, and define its functions; none of them has been called yet.

        Args:
            source: The text of the program.
            schema: What it may know of the environment.
            functions: Which of `FUNCTIONS` it must define.
            sandbox: Where it runs.
            largest: Largest absolute value of one term, in training too.

        Raises:
            ProgramError: The program cannot be used.
            ConfigError: A function is none of `FUNCTIONS`.
        """
        for name in functions:
            if name not in FUNCTIONS:
                raise ConfigError(
                    f"{name!r} is no function that can be written{did_you_mean(name, FUNCTIONS)}",
                    cure=f"choose from {', '.join(FUNCTIONS)}",
                )
        read = Source.read(source)
        check_signatures(read, {name: FUNCTIONS[name] for name in functions})
        check(read)
        keys = {"action": schema.action_names}
        calls = drivers(
            {
                name: {
                    function: keys.get(function, schema.state_names) for function in FUNCTIONS[name]
                }
                for name in functions
            }
        )
        codes = (PRELUDE + typing_of(read), wrapped(read, functions), calls)
        try:
            session = sandbox.open(*codes)
        except Failure as failure:
            raise _explained(read, failure) from None
        program = cls(source, schema, tuple(functions), session, largest, read)
        try:
            session.run("_dragoman_program() is None", {})
        except Failure as failure:
            session.close()
            raise _explained(read, failure) from None
        return program

    def terms(self, function: str) -> tuple[str, ...]:
        """Return the names of what a function returns; its own name for one plain number.

        They are known after the first call.
        """
        return tuple(self._terms.get(function, ()))

    def values(self, function: str, rows: Sequence[Row]) -> NDArray[np.float64]:
        """Return the terms of a function for ``N`` rows of arguments, ``(N, C)``, in one trip.

        Args:
            function: Which function.
            rows: Its arguments as numbers, see `Schema.read_state`.

        Raises:
            ProgramError: It fails, takes too long, or a term is NaN, infinite or too large; with
                the row that did it.
        """
        result: list[float] = []
        started = time.monotonic()
        for part in self._parts(rows):
            if time.monotonic() - started > self.session.limits.seconds:
                raise ProgramError(
                    f"{function} took longer than {self.session.limits.seconds:g} s",
                    cure="loop over fewer values",
                )
            result += self._called(function, part)
        values = np.array(result, dtype=np.float64).reshape(len(rows), len(self.terms(function)))
        # NaN is not at most anything.
        is_fine = np.abs(values) <= self.largest
        if not is_fine.all():
            row, term = map(int, np.argwhere(~is_fine)[0])
            value = values[row, term]
            bound = f", beyond ±{self.largest:g}" if np.isfinite(value) else ""
            raise ProgramError(
                f"{self.terms(function)[term]!r} of {function} is {value:.6g}{bound}; "
                f"{self._shown(function, rows[row])}",
                cure="scale or bound every term in every state, as with min, max or tanh",
            )
        return values

    def close(self) -> None:
        """Give back what the functions run in."""
        self.session.close()

    def _parts(self, rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
        """Yield so many rows at once that they fit into the memory of the sandbox."""
        width = 2 * len(self.schema.state) + len(self.schema.action) + 1
        size = max(1, MOST_NUMBERS // width)
        for start in range(0, len(rows), size):
            yield rows[start : start + size]

    def _numbers(self, function: str, rows: Sequence[Row]) -> list[float]:
        """Return the numbers of some rows, one after the other."""
        keys = {"action": self.schema.action_names}
        widths = [len(keys.get(item, self.schema.state_names)) or 1 for item in FUNCTIONS[function]]
        numbers: list[float] = []
        for row in rows:
            for item in row:
                if isinstance(item, list):
                    numbers += item
                else:
                    numbers.append(int(item) if float(item).is_integer() else item)
        if len(numbers) != sum(widths) * len(rows):
            raise SpaceError(
                f"the schema names {sum(widths)} numbers for a call of {function}, but there are "
                f"{len(numbers)} for {len(rows)} calls",
                cure="let read_state and read_action of the schema return one number a name",
            )
        return numbers

    def _called(self, function: str, rows: Sequence[Row]) -> list[float]:
        """Return the terms of some rows, one after the other."""
        inputs = {"numbers": self._numbers(function, rows), "names": self._terms.get(function)}
        try:
            answer = self.session.run(f"_dragoman_{function}(numbers, names)", inputs)
        except Failure as failure:
            error = _explained(self.parsed, failure, function)
            place = self._place(failure)
            if place is not None and place < len(rows):
                shown = self._shown(function, rows[place])
                error = ProgramError(f"{error.problem}; {shown}", cure=error.cure)
            raise error from None
        names, result = answer if type(answer) is tuple and len(answer) == 2 else ([], [])
        # Whoever has made it: what comes back is believed as far as it is what was asked for.
        is_named = type(names) is list and set(map(type, names)) == {str}
        is_right = is_named and type(result) is list and set(map(type, result)) <= {float}
        if not is_right or len(result) != len(rows) * len(names):
            raise ProgramError(
                f"{function} gave no numbers for each of {len(rows)} rows", cure=RETURN_NUMBERS
            )
        self._terms[function] = names
        return result

    def _place(self, failure: Failure) -> int | None:
        """Return which row a call has failed in, as far as its session still knows."""
        if not failure.frames or not self.session.is_open:
            return None
        place = self.session.run("_dragoman_place[0]", {})
        return place if type(place) is int else None

    def _shown(self, function: str, row: Row) -> str:
        """Return the arguments of a call in words."""
        names = {"action": self.schema.action_names}
        return "with " + ", ".join(
            f"{name} = {_in_words(names.get(name, self.schema.state_names), one)}"
            for name, one in zip(FUNCTIONS[function], row, strict=True)
        )


RETURN_NUMBERS = (
    f"return a number, or a dict of 1 to {MOST_TERMS} named numbers with the same names in every "
    "state"
)


def _explained(source: Source, failure: Failure, function: str = "") -> ProgramError:
    """Return an error of the sandbox in terms of the program."""
    if failure.frames and failure.frames[-1][0] == THE_DRIVERS:
        problem = failure.problem.removeprefix("ValueError: ")
        return ProgramError(f"{function}: {problem}", cure=RETURN_NUMBERS)
    lines = [line - LINES_BEFORE for code, line in failure.frames if code == THE_PROGRAM]
    if lines and lines[-1] > 0:
        return source.refuse_line(lines[-1], failure.problem, failure.cure)
    return ProgramError(failure.problem, cure=failure.cure)


def _in_words(names: Sequence[str], value: Any) -> str:
    if not names:
        return f"{value:g}"
    shown = [f"{name} {number:.4g}" for name, number in zip(names, value, strict=True)]
    more = f", and {len(shown) - 6} more" if len(shown) > 6 else ""
    return f"({', '.join(shown[:6])}{more})"
