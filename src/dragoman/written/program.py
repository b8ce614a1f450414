"""A program that a language model wrote, checked and ready to be called."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dragoman.errors import ConfigError, ProgramError, did_you_mean
from dragoman.written.sandbox import Sandbox, Session
from dragoman.written.schema import Schema
from dragoman.written.source import Source
from dragoman.written.translate import Translated, check_signatures, failure, translate

FUNCTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "features": ("state",),
        "potential": ("state",),
        "reward": ("state", "action", "next_state"),
    }
)
"""What a program may define, and the parameters of each."""

MOST_TERMS = 64

Row: TypeAlias = Sequence[Any]
"""One argument a parameter: the numbers of a state, and of an action."""

Rests: TypeAlias = Literal["compiled", "sandbox"]


class Runner(Protocol):
    """Runs one function of a program."""

    terms: tuple[str, ...]

    def __call__(self, rows: Sequence[Row], *, compare: bool = False) -> list[tuple[float, ...]]:
        """Return the terms of each row."""
        ...


@dataclass(frozen=True)
class Program:
    """Functions that a language model wrote.

    Attributes:
        source: The text of the program.
        schema: What it may know of the environment.
        functions: What runs each of its functions.
        rests: Whether they were compiled from the checked part of Python, or run in the sandbox.
    """

    source: str
    schema: Schema
    functions: Mapping[str, Runner]
    rests: Rests

    @classmethod
    def load(
        cls,
        source: str,
        schema: Schema,
        functions: Sequence[str] = ("reward",),
        *,
        sandbox: Sandbox | None = None,
    ) -> Program:
        """Read, check and prepare a program; nothing of it has been called yet.

        A program within the checked part of Python is compiled. Any other goes to the sandbox,
        if there is one.

        Args:
            source: The text of the program.
            schema: What it may know of the environment.
            functions: Which of `FUNCTIONS` it must define.
            sandbox: Where programs run that leave the checked part of Python.

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
        wanted = {name: FUNCTIONS[name] for name in functions}
        names = {"state": schema.state_names, "next_state": schema.state_names}
        read = Source.read(source)
        check_signatures(read, wanted)
        try:
            found = translate(read, functions, {**names, "action": schema.action_names})
        except ProgramError:
            if sandbox is None:
                raise
            session = sandbox.open(source)
            runners = {name: _Sandboxed(session, schema, name) for name in functions}
            return cls(source, schema, runners, "sandbox")
        compiled = {name: _Compiled(read, one, name) for name, one in found.items()}
        return cls(source, schema, compiled, "compiled")

    def terms(self, function: str) -> tuple[str, ...]:
        """Return the names of what a function returns; its own name for one plain number.

        In the sandbox they are known only after the first call.
        """
        return self.functions[function].terms

    def values(
        self, function: str, rows: Sequence[Row], *, compare: bool = False
    ) -> NDArray[np.float64]:
        """Return the terms of a function for ``N`` rows of arguments, ``(N, C)``.

        Args:
            function: Which function.
            rows: Its arguments as numbers, see `Schema.read_state`.
            compare: Look whether it changes its input, which costs time in the sandbox.

        Raises:
            ProgramError: It fails, or a term is NaN or infinite; with the row that did it.
        """
        runner = self.functions[function]
        try:
            found = runner(rows, compare=compare)
        except _RowError as error:
            raise ProgramError(
                f"{error.error.problem}; {self._shown(function, rows[error.row])}",
                cure=error.error.cure,
            ) from None
        values = np.array(found, dtype=np.float64).reshape(len(rows), len(runner.terms))
        if not np.isfinite(values).all():
            row, term = map(int, np.argwhere(~np.isfinite(values))[0])
            raise ProgramError(
                f"{runner.terms[term]!r} of {function} is {values[row, term]}; "
                f"{self._shown(function, rows[row])}",
                cure="keep every term finite in every state",
            )
        return values

    def close(self) -> None:
        """Give back what the functions run in."""
        for runner in self.functions.values():
            if isinstance(runner, _Sandboxed):
                runner.session.close()

    def _shown(self, function: str, row: Row) -> str:
        """Return the arguments of a call in words."""
        return "with " + ", ".join(
            f"{name} = {_plain(_named(self.schema, name, one))}"
            for name, one in zip(FUNCTIONS[function], row, strict=True)
        )


class _RowError(Exception):
    """One row made a function fail."""

    def __init__(self, row: int, error: ProgramError) -> None:
        super().__init__(row)
        self.row = row
        self.error = error


class _Compiled:
    """Runs a function that was compiled."""

    def __init__(self, source: Source, translated: Translated, name: str) -> None:
        self.source = source
        self.translated = translated
        self.terms = translated.terms or (name,)

    def __call__(self, rows: Sequence[Row], *, compare: bool = False) -> list[tuple[float, ...]]:
        call = self.translated.call
        found: list[tuple[float, ...]] = []
        try:
            for row in rows:
                found.append(call(*row))  # the length tells which row failed
        except (ArithmeticError, ValueError, NameError) as error:
            raise _RowError(len(found), failure(self.source, error)) from None
        return found


class _Sandboxed:
    """Runs a function in the sandbox, and believes nothing that comes back."""

    def __init__(self, session: Session, schema: Schema, name: str) -> None:
        self.session = session
        self.schema = schema
        self.name = name
        self.terms: tuple[str, ...] = ()

    def __call__(self, rows: Sequence[Row], *, compare: bool = False) -> list[tuple[float, ...]]:
        parameters = FUNCTIONS[self.name]
        named = [
            [_named(self.schema, name, one) for name, one in zip(parameters, row, strict=True)]
            for row in rows
        ]
        return [
            self._terms(value) for value in self.session.call(self.name, named, compare=compare)
        ]

    def _terms(self, value: Any) -> tuple[float, ...]:
        found = value if type(value) is dict else {self.name: value}
        if not found or len(found) > MOST_TERMS or not all(type(key) is str for key in found):
            raise ProgramError(
                f"{self.name} gives {len(found)} terms, or some without a name",
                cure=f"return a dict of 1 to {MOST_TERMS} named numbers, or a number",
            )
        self.terms = self.terms or tuple(found)
        if set(found) != set(self.terms):
            raise ProgramError(
                f"{self.name} gives {sorted(found)} in one state, {sorted(self.terms)} in another",
                cure="return the same names in every state",
            )
        return tuple(self._number(term, found[term]) for term in self.terms)

    def _number(self, term: str, value: Any) -> float:
        if type(value) not in (float, int, bool):
            raise ProgramError(
                f"{term!r} of {self.name} is {type(value).__name__}, not a number",
                cure="return a dict of named numbers, or a number",
            )
        try:
            return float(value)
        except OverflowError:
            return math.inf


def _named(schema: Schema, parameter: str, numbers: Any) -> Any:
    """Return an argument as a program in the sandbox takes it."""
    names = schema.action_names if parameter == "action" else schema.state_names
    if names:
        return dict(zip(names, numbers, strict=True))
    return int(numbers) if float(numbers).is_integer() else numbers


def _plain(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    shown = [f"{name} {number:.4g}" for name, number in value.items()]
    more = f", and {len(shown) - 6} more" if len(shown) > 6 else ""
    return f"({', '.join(shown[:6])}{more})"
