"""What is wrong with the settings of a file, in one sentence, and what helps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from dragoman.errors import did_you_mean
from dragoman.settings import choices_of


def problem_of(
    settings: type, location: Sequence[str | int], kind: str, message: str, value: Any
) -> str:
    """Say in one sentence what pydantic found wrong, with the nearest known key."""
    key = ".".join(str(part) for part in location)
    if kind == "unexpected_keyword_argument":
        known = _known_keys(settings, location[:-1])
        return f"unknown key {key!r}{did_you_mean(str(location[-1]), known)}"
    if kind == "missing":
        return f"the key {key!r} is required"
    if kind == "literal_error":
        return (
            f"{key} is {value!r}{did_you_mean(str(value), _choices(settings, location))}: {message}"
        )
    return f"{key} is {value!r}: {message}"


def cure_of(kind: str, value: Any) -> str:
    """Return what helps where a value of a file has the wrong type."""
    if kind == "string_type" and isinstance(value, Mapping):
        return "put the text in quotation marks, since it begins with '{'"
    if kind == "string_type" and isinstance(value, bool | int | float):
        return f'put the text in quotation marks: "{str(value).lower()}"'
    if kind == "tuple_type" and isinstance(value, str | int | float):
        return f"write a list: [{value}]"
    return "'dragoman help KEY' says what a key does, 'dragoman init ENV' prints all of them"


def _type_at(settings: type, location: Sequence[str | int]) -> Any:
    """Return the declared type that a path of keys leads to."""
    result: Any = settings
    for part in location:
        if is_dataclass(result):
            # Beside keys, a location names the alternative of a union that was tried.
            result = get_type_hints(result).get(str(part), result)
        elif get_origin(result) is Mapping:
            result = get_args(result)[1]
        # Of `Observe | None` the alternative that has keys is the one that was meant.
        result = next((option for option in get_args(result) if is_dataclass(option)), result)
    return result


def _known_keys(settings: type, location: Sequence[str | int]) -> list[str]:
    return [known.name for known in fields(_type_at(settings, location))]


def _choices(settings: type, location: Sequence[str | int]) -> list[str]:
    return choices_of(_type_at(settings, [part for part in location if isinstance(part, str)]))
