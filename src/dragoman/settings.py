"""Settings written in Python are held to the same types as those read from a file."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_args, get_type_hints

import numpy as np
import pydantic

from dragoman.errors import ConfigError, did_you_mean

T = TypeVar("T")

ONE_OR_MORE = pydantic.BeforeValidator(
    lambda value: [value] if isinstance(value, str | int) else value
)
"""Lets a list of one value be written without brackets."""

COUNT = pydantic.BeforeValidator(
    lambda value: short_number(value) if isinstance(value, str) else value
)
"""Lets a whole number be written short: ``10k``, ``1.5M``, ``1e5``."""

RANGE = pydantic.BeforeValidator(lambda value: _range(value) if isinstance(value, str) else value)
"""Lets whole numbers be written as ``0-9``, both ends included."""


def short_number(text: str) -> Any:
    """Return the number that a text such as ``10k`` or ``1e5`` stands for, or the text itself."""
    factor = {"k": 1e3, "M": 1e6}.get(text[-1:])
    try:
        return float(text if factor is None else text[:-1]) * (factor or 1)
    except ValueError:
        return text


def _range(text: str) -> Any:
    first, separator, last = text.partition("-")
    if separator and first.isdecimal() and last.isdecimal():
        return list(range(int(first), int(last) + 1))
    return text


def misfit(error: pydantic.ValidationError) -> tuple[str, str]:
    """Return the dotted key of the first value that does not fit, and a sentence about it."""
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    return key, f"{key} is {first['input']!r}: {first['msg']}"


def from_plain(kind: type[T], value: Any, name: str) -> T:
    """Return settings that may be given as plain data.

    Args:
        kind: Their dataclass.
        value: One, or a mapping with its keys.
        name: What a file calls it, for the message: ``observe``.

    Raises:
        ConfigError: It is neither, a key is unknown, or a value does not fit.
    """
    if isinstance(value, kind):
        return value
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"{name} is {value!r}, which is no {kind.__name__}",
            cure=f"give dragoman.{kind.__name__}(...), or its settings as a mapping",
        )
    for key in value:
        if key not in known:
            raise ConfigError(
                f"unknown key '{name}.{key}'{did_you_mean(str(key), known)}",
                cure=f"the keys are: {', '.join(known)}",
            )
    return kind(**value)


def check_number(name: str, value: Any, least: int | None = None) -> None:
    """Refuse an argument that is no whole number, or too small a one.

    Raises:
        ConfigError: So it is.
    """
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_whole or (least is not None and value < least):
        rule = "a whole number" if least is None else f"a whole number of at least {least}"
        raise ConfigError(f"{name} is {value!r}, but must be {rule}", cure=f"change {name}")


def check_least(settings: Any, name: str = "", **least: float) -> None:
    """Refuse fields of a frozen dataclass that are too small; ``None`` is none too small.

    Args:
        settings: The dataclass instance.
        name: What a file calls it, for the message: ``guard``.
        least: The least value of each field, by its name.

    Raises:
        ConfigError: A value is smaller, or no number.
    """
    for key, number in least.items():
        value = getattr(settings, key)
        if value is not None and not value >= number:
            where = f"{name}.{key}" if name else key
            raise ConfigError(
                f"{where} is {value}, but must be at least {number}", cure=f"raise {where}"
            )


def check_fields(settings: Any, name: str = "") -> None:
    """Refuse a field of a frozen dataclass whose value does not fit its declared type.

    Call it in ``__post_init__``. Values that a file may write in short form, as ``"last"`` for
    ``("last",)``, become what they stand for.

    Args:
        settings: The dataclass instance.
        name: What a file calls it, for the message: ``observe``.

    Raises:
        ConfigError: A value does not fit.
    """
    for key, adapter, choices in _fields_of(type(settings)):  # type: ignore[arg-type]
        value = getattr(settings, key)
        if is_dataclass(value):
            continue  # checked where it was made
        try:
            valid = adapter.validate_python(value)
        except pydantic.ValidationError as error:
            where = f"{name}.{key}" if name else key
            near = did_you_mean(value, choices) if isinstance(value, str) else ""
            message = error.errors(include_url=False)[0]["msg"]
            raise ConfigError(
                f"{where} is {value!r}{near}: {message}", cure=f"change {where}"
            ) from None
        same_kind = type(valid) is type(value) or isinstance(valid, Mapping)
        if not (same_kind and valid == value):
            object.__setattr__(settings, key, valid)


@functools.cache
def _fields_of(kind: type) -> list[tuple[str, pydantic.TypeAdapter[Any], list[str]]]:
    """Return each field's name, what validates it, and the texts that it may be."""
    hints = get_type_hints(kind, include_extras=True)
    return [
        (field.name, pydantic.TypeAdapter(hints[field.name]), choices_of(hints[field.name]))
        for field in fields(kind)
    ]


def choices_of(hint: Any) -> list[str]:
    """Return every text among the literals of a type."""
    if isinstance(hint, str):
        return [hint]
    return [choice for part in get_args(hint) for choice in choices_of(part)]


def flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested data as one mapping by dotted key."""
    result: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            result |= flat(value, f"{prefix}{key}.")
        else:
            result[f"{prefix}{key}"] = value
    return result
