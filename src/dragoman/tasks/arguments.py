"""Checks of the arguments that environments are made with."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np

from dragoman.errors import ConfigError


def one_of(name: str, value: Any, choices: Any) -> None:
    """Raise a `ConfigError` unless the value is one of a ``Literal``'s choices."""
    if value not in get_args(choices):
        names = ", ".join(map(repr, get_args(choices)))
        raise ConfigError(f"{name} is {value!r}", cure=f"choose from {names}")


def whole_number(name: str, value: Any, low: int, high: int) -> int:
    """Return the value as an integer from low to high, or raise a `ConfigError`."""
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_whole or not low <= value <= high:
        raise ConfigError(f"{name} is {value!r}", cure=f"give a whole number from {low} to {high}")
    return int(value)
