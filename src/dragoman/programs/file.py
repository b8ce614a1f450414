"""Programs in files, such as the ``program.py`` of a search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dragoman.errors import ConfigError, ProgramError
from dragoman.programs.program import LARGEST, Program
from dragoman.programs.sandbox import Sandbox
from dragoman.programs.schema import schema_of


def open_program(path: str, function: str, env: Any, largest: float = LARGEST) -> Program:
    """Return the program in a file, ready for the numbers of an environment, in its own sandbox.

    Args:
        path: The file, from the current folder.
        function: Which of `dragoman.programs.program.FUNCTIONS` it must define.
        env: The environment, or a vector of environments.
        largest: Largest absolute value of one term.

    Raises:
        ConfigError: There is no such file, or its program cannot be used.
        SpaceError: The environment's observations or actions are no numbers.
        MissingExtraError: The extra ``written`` is not installed.
    """
    try:
        source = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"the program {path} cannot be read: {error.strerror}",
            cure="name a file, as seen from the current folder",
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"the program {path} is no text in UTF-8", cure="name a file of Python"
        ) from error
    try:
        return Program.load(source, schema_of(env), [function], sandbox=Sandbox(), largest=largest)
    except ProgramError as error:
        raise ConfigError(f"{path}: {error.problem}", cure=error.cure) from error
