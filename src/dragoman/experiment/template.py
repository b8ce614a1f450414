"""A commented YAML file to start an experiment from."""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_args, get_type_hints

from dragoman.errors import ConfigError, did_you_mean
from dragoman.experiment import Experiment
from dragoman.experiment.source import STARTER

WIDTH = 96


def template(env: str) -> str:
    """Return a YAML file that trains in an environment, and names every other key.

    Keys that have their default value stand in comments.

    Args:
        env: The environment's id, ``module:Class`` or ``file.py:Class``.
    """
    chosen = {"env": env, **STARTER}
    data = Experiment.from_dict(chosen).to_dict()
    head = f"# dragoman train FILE trains in {env}, dragoman compare FILE says if a model helps."
    return "\n".join([head, "", *_lines(Experiment, data, chosen)]) + "\n"


def explain(key: str) -> str:
    """Return what a key of an experiment does, what it is by default, and the keys below it.

    Args:
        key: With the keys above it, such as ``observe.layer``.

    Raises:
        ConfigError: There is no such key.
    """
    kind: type | None = Experiment
    for part in key.split("."):
        known = {} if kind is None else comments_of(kind)
        if kind is None or part not in known:
            raise ConfigError(
                f"an experiment has no key {key!r}{did_you_mean(part, known)}",
                cure="'dragoman init ENV' prints every key and what it does",
            )
        text = known[part]
        field = next(field for field in fields(kind) if field.name == part)
        kind = _settings_in(get_type_hints(kind)[part])
    default = field.default if field.default_factory is MISSING else field.default_factory()
    if default is not MISSING and not is_dataclass(default):
        # Tuples and mappings that cannot change stand in files as lists and mappings.
        text += f" Unless given: {json.dumps(default, default=dict)}."
    lines = textwrap.wrap(text, WIDTH)
    for name, about in ({} if kind is None else comments_of(kind)).items():
        lines += textwrap.wrap(f"  {key}.{name}: {about}", WIDTH, subsequent_indent="    ")
    return "\n".join(lines)


def _settings_in(hint: Any) -> type | None:
    """Return the dataclass in a type, such as `Observe` in ``Observe | None``."""
    parts = (hint, *get_args(hint))
    return next((part for part in parts if inspect.isclass(part) and is_dataclass(part)), None)


def _lines(
    kind: type, data: Mapping[str, Any], chosen: Mapping[str, Any], indent: str = ""
) -> Iterator[str]:
    """Yield each key of a dataclass after its comment; those that are not chosen as comments."""
    about, hints = comments_of(kind), get_type_hints(kind)
    for field in fields(kind):
        key, value, mine = field.name, data[field.name], chosen.get(field.name)
        yield from textwrap.wrap(f"{indent}# {about[key]}", WIDTH, subsequent_indent=f"{indent}# ")
        start = f"{indent}{key}:" if key in chosen else f"{indent}# {key}:"
        inner = _settings_in(hints[key])
        if inner is not None and isinstance(mine, Mapping):
            yield start
            yield from _lines(inner, value, mine, f"{indent}  ")
        else:
            yield f"{start} {json.dumps(value, ensure_ascii=False)}"
        if not indent:
            yield ""


def comments_of(kind: type) -> dict[str, str]:
    """Return what a dataclass's docstring says of each attribute, by name."""
    _, _, attributes = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    pattern = r"^    (\w+): (.*(?:\n        .*)*)"
    found = re.findall(pattern, attributes, re.MULTILINE)
    return {
        name: " ".join(re.sub(r"\bNone\b", "null", text.replace("``", "")).split())
        for name, text in found
    }
