"""Programs beyond the checked part of Python, run by Monty in a process of its own.

Monty (the package ``pydantic-monty``) is an interpreter of Python written in Rust: no file,
environment, network or module of this machine exists in it, and time, memory and depth are
limited. It runs in worker processes, so that not even its crash reaches this one.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from dragoman.errors import ConfigError, MissingExtraError, ProgramError
from dragoman.written.source import QUOTED

if TYPE_CHECKING:
    from pydantic_monty import Monty, MontySession

MOST_WORKERS = 16
"""Each program that is open holds one."""

FIRST = "<python-input-0>"
"""What Monty calls the first piece of code of a session: the program."""

GRACE_SECONDS = 1.0
"""How long a worker may take to end itself before it is killed."""

DRIVERS = """
def call_on_rows(function, rows):
    return [function(*row) for row in rows]

def call_and_compare(function, rows):
    found = []
    for row in rows:
        kept = [dict(one) if isinstance(one, dict) else one for one in row]
        found.append(function(*row))
        if list(row) != kept:
            raise ValueError("the function changes its input")
    return found
"""
"""Call a function on many rows in one trip. A program may well replace them: what comes back is
checked outside, whoever has made it."""


@dataclass(frozen=True)
class Limits:
    """What a program in the sandbox may use.

    Attributes:
        seconds: Longest time of one batch of calls.
        memory: Most bytes of its heap.
        depth: Deepest nesting of calls.
    """

    seconds: float = 1.0
    memory: int = 32_000_000
    depth: int = 50

    def __post_init__(self) -> None:
        for name in ("seconds", "memory", "depth"):
            if getattr(self, name) <= 0:
                raise ConfigError(
                    f"{name} is {getattr(self, name)}, but must be above 0", cure=f"raise {name}"
                )


class Sandbox:
    """Runs programs with Monty, each in a session that nothing else shares.

    Args:
        limits: What a program may use.

    Raises:
        MissingExtraError: The extra ``written`` is not installed.
    """

    def __init__(self, limits: Limits = Limits()) -> None:
        try:
            from pydantic_monty import Monty
        except ModuleNotFoundError:
            raise MissingExtraError("pydantic-monty", extra="written") from None
        self.limits = limits
        self._pool: Monty = Monty(
            min_processes=0,
            max_processes=MOST_WORKERS,
            checkout_timeout=60,
            request_timeout=limits.seconds + GRACE_SECONDS,
            feed_duration_limit_grace=GRACE_SECONDS,
        )
        self._open = ExitStack()
        self._open.enter_context(self._pool)

    def open(self, program: str) -> Session:
        """Return a new session in which a program has been read.

        Raises:
            ProgramError: The program fails when its definitions run.
        """
        session = Session(self._pool, self.limits)
        try:
            session.run(program, {})
            session.run(DRIVERS, {})
        except BaseException:
            session.close()
            raise
        return session

    def close(self) -> None:
        """End the worker processes."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Session:
    """One program in one worker.

    Its clock stands still and its random numbers start from one seed, so that a program cannot
    differ from run to run.
    """

    def __init__(self, pool: Monty, limits: Limits) -> None:
        self.limits = limits
        self._open = ExitStack()
        self._session: MontySession = self._open.enter_context(
            pool.checkout(
                limits={
                    "max_feed_duration_secs": limits.seconds,
                    "max_memory": limits.memory,
                    "max_recursion_depth": limits.depth,
                    "max_suspensions": 1,
                },
                os_policy={
                    "datetime": datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC),
                    "process_time": "zero",
                    "random_start": {"seed": 0},
                    "sleep": "zero",
                },
            )
        )

    def call(
        self, function: str, rows: Sequence[Sequence[Any]], *, compare: bool = False
    ) -> list[Any]:
        """Return what a function of the program gives for each row of arguments.

        Args:
            function: Its name.
            rows: ``N`` rows, one dict or number a parameter.
            compare: Look whether it changes its input.

        Raises:
            ProgramError: The function fails, or uses more than it may.
        """
        driver = "call_and_compare" if compare else "call_on_rows"
        found = self.run(f"{driver}({function}, rows)", {"rows": [tuple(row) for row in rows]})
        if not isinstance(found, list) or len(found) != len(rows):
            raise ProgramError(
                f"{function} gave no value for each of {len(rows)} rows",
                cure="leave Python's own names alone",
            )
        return found

    def run(self, code: str, inputs: dict[str, Any]) -> Any:
        """Run code in the session and return the value of its last expression."""
        import pydantic_monty as monty

        try:
            return self._session.feed_run(code, inputs=inputs, print_callback=_drop)
        except monty.MontySyntaxError as error:
            raise ProgramError(
                f"the sandbox cannot read the program: {_shown(error)}", cure="mend the syntax"
            ) from None
        except monty.MontyCrashedError as error:
            self.close()
            raise ProgramError(_crash(error, self.limits), cure="use less of it") from None
        except monty.MontyRuntimeError as error:
            raise ProgramError(
                _reason(error, self.limits),
                cure="compute with numbers only: no files, no modules but math, no long loops",
            ) from None

    def close(self) -> None:
        """Give the worker back."""
        self._open.close()


def _drop(stream: str, text: str) -> None:
    """Throw away what a program prints."""


def _reason(error: Any, limits: Limits) -> str:
    """Say what went wrong, in words that do not depend on how fast the machine is."""
    cause = error.exception()
    if isinstance(cause, TimeoutError):
        return f"the program ran longer than {limits.seconds:g} s"
    if isinstance(cause, MemoryError):
        return f"the program needed more than {limits.memory / 1e6:g} MB"
    if isinstance(cause, RecursionError):
        return f"the program nested calls more than {limits.depth} deep"
    lines = [frame.line for frame in error.traceback() if frame.filename == FIRST]
    place = f"line {lines[-1]}: " if lines else ""
    return f"{place}{_shown(error)}"


def _crash(error: Any, limits: Limits) -> str:
    if getattr(error, "timed_out", False):
        return f"the program ran longer than {limits.seconds:g} s and had to be killed"
    return "the program brought its worker process down"


def _shown(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 2 * QUOTED else text[: 2 * QUOTED - 3] + "..."
