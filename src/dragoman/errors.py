"""Every error Dragoman raises on purpose.

    DragomanError            the root: catch this one
    ├── ConfigError          an experiment or an argument that cannot work
    ├── SpaceError           an environment, observation or action outside its rules
    ├── ModelError           a language model that cannot be found, loaded or asked
    │   └── BudgetError      a request that could cost more than was allowed
    ├── ProgramError         a program that a language model wrote and that cannot be used
    ├── RewardError          a reward that fails, or gives what is no number
    ├── DivergenceError      a training whose weights or outputs are no finite numbers any more
    ├── RunError             a run folder that is missing, half-written, foreign or not writable
    └── MissingExtraError    an optional dependency that is not installed

Each one names the value that was given, the rule it broke and the cure.
"""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable
from typing import Any

LONGEST = 2000
"""Most characters of a problem or a cure."""


class DragomanError(Exception):
    """Root of the tree.

    Args:
        problem: The value that was given and the rule it broke, in one sentence. The middle of
            what nobody would read to its end, as of a value of a million characters, is left out.
        cure: What to do about it, in the imperative.
    """

    def __init__(self, problem: str, *, cure: str) -> None:
        problem, cure = _readable(problem), _readable(cure)
        super().__init__(f"{problem}\n  Cure: {cure}")
        self.problem = problem
        self.cure = cure

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are copied and pickled by calling the class with `args`, which would need the
        # cure too. Process pools and Ray do so to report what a worker has raised.
        return Exception.__new__, (type(self), *self.args), self.__dict__


def _readable(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[-LONGEST // 4 :]}"


class ConfigError(DragomanError):
    """An experiment or an argument that cannot work."""


class SpaceError(DragomanError):
    """An environment, an observation or an action outside its rules."""


class ModelError(DragomanError):
    """A language model that cannot be found, loaded or asked."""


class BudgetError(ModelError):
    """A request that could cost more than was allowed; it was not sent."""


class ProgramError(DragomanError):
    """A program that a language model wrote and that cannot be used.

    Args:
        problem: What is wrong with it, with the line where that is known.
        cure: What to write instead. The model that wrote it reads both.
    """


class RewardError(DragomanError):
    """A reward that fails, or gives what is no finite number for each text."""


class DivergenceError(DragomanError):
    """A training whose weights or outputs are no finite numbers any more."""


class RunError(DragomanError):
    """A run folder that is missing, half-written or foreign, or a file that cannot be written."""


class MissingExtraError(DragomanError):
    """An optional dependency that is not installed.

    Args:
        package: The package that could not be imported.
        extra: The extra of Dragoman that brings it.
        note: What one should know before installing it.
    """

    def __init__(self, package: str, *, extra: str, note: str | None = None) -> None:
        super().__init__(
            f"the package {package!r} is not installed",
            cure=f"pip install 'dragoman[{extra}]'" + (f" ({note})" if note else ""),
        )


def raised_in(error: BaseException, file: str | None = None) -> str:
    """Return where an error was raised, as ``line 8 of my_env.py``.

    Args:
        error: The error.
        file: Preferred to the files that it calls, where the error went through it.
    """
    frames = traceback.extract_tb(error.__traceback__)
    frame = next((frame for frame in reversed(frames) if frame.filename == file), frames[-1])
    return f"line {frame.lineno} of {frame.filename}"


def did_you_mean(word: str, known: Iterable[str], *, count: int = 3) -> str:
    """Return `` (did you mean 'a' or 'b'?)``, or an empty string when nothing is near."""
    # Case is the commonest slip in ids, and difflib would count it as a different letter.
    by_folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), by_folded, n=count, cutoff=0.6)
    if not near:
        return ""
    return f" (did you mean {' or '.join(repr(by_folded[name]) for name in near)}?)"
