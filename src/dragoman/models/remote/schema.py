"""A constraint as a JSON schema, and whether a text fits the constraint."""

from __future__ import annotations

import json
from typing import Any, assert_never

from dragoman.errors import ConfigError, MissingExtraError
from dragoman.generation import Choice, Constraint, Integer, Json
from dragoman.models.free_text import chosen, integer, json_texts

try:
    import jsonschema
    import referencing
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), extra="remote") from error


def schema_of(constraint: Constraint) -> dict[str, Any]:
    """Return the JSON schema that a server is given.

    A choice and an integer are wrapped in an object with the key ``answer``, because OpenAI's
    servers take no other schema at the root.
    """
    match constraint:
        case Choice(options):
            answer: dict[str, Any] = {"type": "string", "enum": list(options)}
        case Integer(minimum, maximum):
            answer = {"type": "integer", "minimum": minimum, "maximum": maximum}
        case Json(schema):
            return _object(schema)
        case _:
            assert_never(constraint)
    return {
        "type": "object",
        "properties": {"answer": answer},
        "required": ["answer"],
        "additionalProperties": False,
    }


def unwrap(constraint: Constraint, text: str) -> str | None:
    """Return the answer inside the object that `schema_of` asked for, or ``None``."""
    if isinstance(constraint, Json):
        return text
    for part in json_texts(text):
        try:
            return str(json.loads(part)["answer"])
        except (ValueError, LookupError, TypeError, RecursionError):
            continue
    return None


def fit(constraint: Constraint, text: str) -> str | None:
    """Return the answer in a text if it fits the constraint, or ``None``.

    It may stand after a thought, in a fence or, for a choice or a number, behind "answer:".

    Raises:
        ConfigError: The constraint's schema is not a JSON schema.
    """
    match constraint:
        case Choice(options):
            return chosen(text, options)
        case Integer(minimum, maximum):
            number = integer(text)
            return number if number and minimum <= int(number) <= maximum else None
        case Json(schema):
            return next((part for part in json_texts(text) if _is_valid(schema, part)), None)
        case _:
            assert_never(constraint)


def _object(schema: str) -> dict[str, Any]:
    rules = json.loads(schema)
    if not isinstance(rules, dict):
        raise ConfigError(
            f"the JSON schema {schema[:60]!r} is not an object, which servers ask for",
            cure='write the schema as an object, such as {"type": "object"}',
        )
    return rules


def _is_valid(schema: str, text: str) -> bool:
    try:
        result = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    rules = json.loads(schema)
    kind = jsonschema.validators.validator_for(rules)
    try:
        kind.check_schema(rules)
        # An empty registry, so that a reference in the schema is never fetched from the net.
        return bool(kind(rules, registry=referencing.Registry()).is_valid(result))
    except RecursionError:
        return False
    except (jsonschema.SchemaError, referencing.exceptions.Unresolvable) as error:
        raise ConfigError(
            f"{schema[:60]!r} is not a JSON schema: {str(error).splitlines()[0]}",
            cure="mend the schema; references must stay inside it",
        ) from error


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
