"""Settings without what would be so anyway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def short(data: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of nested settings that differ from the usual ones.

    >>> short({"a": 1, "b": {"c": 2, "d": 3}}, {"a": 1, "b": {"c": 2, "d": 4}})
    {'b': {'d': 3}}
    """
    result = {}
    for key, value in data.items():
        if key not in usual:
            result[key] = value
        elif value != usual[key]:
            both = isinstance(value, Mapping) and isinstance(usual[key], Mapping)
            result[key] = short(value, usual[key]) if both else value
    return result
