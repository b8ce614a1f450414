"""Programs that a model wrote, run by Monty in a process of its own.

Monty (the package ``pydantic-monty``) is an interpreter of Python written in Rust: no file,
environment, network or module of this machine exists in it, and time, memory and depth are
limited. It runs in worker processes, so that not even its crash reaches this one.
"""

from __future__ import annotations

import datetime
import weakref
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from dragoman.errors import ConfigError, MissingExtraError, ProgramError
from dragoman.programs.source import QUOTED

if TYPE_CHECKING:
    from pydantic_monty import Monty, MontySession

MOST_WORKERS = 16
"""Each program that is open holds one."""

MOST_CALLS = 20_000
"""Calls of one session. Each leaves some 300 bytes behind, which count in its memory; a new session
takes a few hundredths of a second."""

GRACE_SECONDS = 1.0
"""How long a worker may take to end itself before it is killed."""


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


class Failure(ProgramError):
    """An error while code ran in the sandbox.

    Attributes:
        frames: Number of the code, from 0, and line of each call that led there.
    """

    def __init__(self, problem: str, cure: str, frames: Sequence[tuple[int, int]] = ()) -> None:
        super().__init__(problem, cure=cure)
        self.frames = tuple(frames)


class Sandbox:
    """Runs programs with Monty, each in a session that nothing else shares.

    Args:
        limits: What a program may use.

    Attributes:
        limits: The same.
        pool: Monty's worker processes.

    Raises:
        MissingExtraError: The extra ``written`` is not installed.
    """

    def __init__(self, limits: Limits = Limits()) -> None:
        try:
            from pydantic_monty import Monty
        except ModuleNotFoundError:
            raise MissingExtraError("pydantic-monty", extra="written") from None
        self.limits = limits
        self.pool: Monty = Monty(
            min_processes=0,
            max_processes=MOST_WORKERS,
            checkout_timeout=60,
            request_timeout=limits.seconds + GRACE_SECONDS,
            feed_duration_limit_grace=GRACE_SECONDS,
        )
        self._open = ExitStack()
        self._open.enter_context(self.pool)
        # Whoever has no end of its own, such as an agent that plays, forgets it instead.
        weakref.finalize(self, self._open.close)

    def open(self, *codes: str) -> Session:
        """Return a new session in which some codes have run.

        Raises:
            Failure: One of them fails.
        """
        return Session(self, codes)

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
    differ from run to run. A worker that was killed, or has answered `MOST_CALLS`, is replaced by
    another in which the same codes have run.

    Args:
        sandbox: Where workers come from; it stays open for as long as somebody holds the session.
        codes: What runs first, one after the other.

    Raises:
        Failure: One of the codes fails.
    """

    def __init__(self, sandbox: Sandbox, codes: Sequence[str]) -> None:
        self.limits = sandbox.limits
        self._sandbox = sandbox
        self._codes = tuple(codes)
        self._open = ExitStack()
        self._session: MontySession | None = None
        self._calls = 0
        self._begin()

    def run(self, code: str, inputs: dict[str, Any]) -> Any:
        """Run code in the session and return the value of its last expression.

        Raises:
            Failure: It fails, or uses more than it may.
        """
        if self._session is None or self._calls >= MOST_CALLS:
            self._begin()
        self._calls += 1
        return self._feed(code, inputs)

    @property
    def is_open(self) -> bool:
        """Whether it still has the worker of its last call."""
        return self._session is not None

    def close(self) -> None:
        """Give the worker back."""
        self._session = None
        self._open.close()

    def _begin(self) -> None:
        self.close()
        self._session = self._open.enter_context(
            self._sandbox.pool.checkout(
                limits={
                    "max_feed_duration_secs": self.limits.seconds,
                    "max_memory": self.limits.memory,
                    "max_recursion_depth": self.limits.depth,
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
        self._calls = 0
        try:
            for code in self._codes:
                self._feed(code, {})
        except BaseException:
            self.close()
            raise

    def _feed(self, code: str, inputs: dict[str, Any]) -> Any:
        import pydantic_monty as monty

        assert self._session is not None
        try:
            return self._session.feed_run(code, inputs=inputs, print_callback=_drop)
        except monty.MontySyntaxError as error:
            what = f"the sandbox cannot read this: {_shown(error)}"
            raise Failure(what, "mend the syntax", _frames(error)) from None
        except monty.MontyRuntimeError as error:
            cause = error.exception()
            if isinstance(cause, TimeoutError | MemoryError):
                # Its worker may be gone.
                self.close()
            cure = WITHIN if isinstance(cause, ArithmeticError | ValueError) else PLAINLY
            raise Failure(_reason(error, self.limits), cure, _frames(error)) from None
        except monty.MontyCrashedError as error:
            self.close()
            raise Failure(_crash(error, self.limits), cure=PLAINLY) from None


PLAINLY = "compute with numbers only: no files, no modules but math, no long loops"
WITHIN = "keep every operation within its domain in every state"


def _drop(stream: str, text: str) -> None:
    """Throw away what a program prints."""


def _frames(error: Any) -> list[tuple[int, int]]:
    """Return number of the code and line of each call, -1 for code that is none of a session."""
    result = []
    for frame in error.traceback():
        number = frame.filename.removeprefix("<python-input-").removesuffix(">")
        result.append((int(number) if number.isdecimal() else -1, frame.line))
    return result


def _reason(error: Any, limits: Limits) -> str:
    """Say what went wrong, in words that do not depend on how fast the machine is."""
    cause = error.exception()
    if isinstance(cause, TimeoutError):
        return f"the program ran longer than {limits.seconds:g} s"
    if isinstance(cause, MemoryError):
        return f"the program needed more than {limits.memory / 1e6:g} MB"
    if isinstance(cause, RecursionError):
        return f"the program nested calls more than {limits.depth} deep"
    return _shown(error)


def _crash(error: Any, limits: Limits) -> str:
    # Whether it stopped by itself or was killed depends on how fast the machine is.
    if getattr(error, "timed_out", False):
        return f"the program ran longer than {limits.seconds:g} s"
    return "the program brought its worker process down"


def _shown(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 2 * QUOTED else text[: 2 * QUOTED - 3] + "..."
