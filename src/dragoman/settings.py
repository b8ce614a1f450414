"""Settings written in Python are held to the same types as those read from a file."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

import pydantic

from dragoman.errors import ConfigError, did_you_mean


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
        (field.name, pydantic.TypeAdapter(hints[field.name]), _choices(hints[field.name]))
        for field in fields(kind)
    ]


def _choices(hint: Any) -> list[str]:
    """Return every text among the literals of a type."""
    if isinstance(hint, str):
        return [hint]
    return [choice for part in get_args(hint) for choice in _choices(part)]
