"""What stands in the files of a run folder, so that nobody who reads them meets anything else.

A file that was torn, or changed by hand, may still be JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from dragoman.files import damaged
from dragoman.phrases import shown

Status: TypeAlias = Literal["running", "finished", "interrupted", "failed", "died"]
"""``died`` is written nowhere: a process that was killed leaves ``running`` behind."""

MOST_COUNTED = 2**63 - 1
"""NumPy counts no further."""
MOST = 1e308
"""Of numbers that are finite as 64 bits hold them."""


class Kind(NamedTuple):
    """What a value may be.

    Attributes:
        name: What messages call it.
        holds: Whether a value is one.
    """

    name: str
    holds: Callable[[Any], bool]


WHOLE = Kind("a whole number", lambda value: type(value) is int and 0 <= value <= MOST_COUNTED)
NUMBER = Kind("a number", lambda value: type(value) in (int, float) and -MOST < value < MOST)
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
TEXT = Kind("a text", lambda value: isinstance(value, str))
TEXTS = Kind(
    "a mapping of texts",
    lambda value: isinstance(value, dict) and all(isinstance(one, str) for one in value.values()),
)
THREADS = Kind("a number of threads", lambda value: WHOLE.holds(value) and 1 <= value <= 4096)
BUDGET = Kind(
    "a budget",
    lambda value: (
        isinstance(value, dict)
        and value.keys() == {"measure", "amount"}
        and value["measure"] in ("seconds", "tokens")
        and NUMBER.holds(value["amount"])
        and value["amount"] > 0
    ),
)
COMMIT = Kind(
    "a commit",
    lambda value: (
        isinstance(value, dict)
        and isinstance(value.get("commit"), str)
        and isinstance(value.get("dirty"), bool)
    ),
)
STATE = Kind("a status", lambda value: isinstance(value, str) and value in get_args(Status))
CELL = Kind(
    "a number or a text",
    lambda value: value is None or isinstance(value, bool | str) or NUMBER.holds(value),
)


def maybe(kind: Kind) -> Kind:
    """Return the kind of what may be nothing."""
    return Kind(f"{kind.name} or null", lambda value: value is None or kind.holds(value))


STATUS = {"status": STATE, "steps": WHOLE}
"""Of ``status.json``; every file may hold more."""
ENVIRONMENT = {
    "seed": WHOLE,
    "format": maybe(WHOLE),
    "config": maybe(TEXT),
    "date": maybe(TEXT),
    "device": maybe(TEXT),
    "dtype": maybe(TEXT),
    "threads": maybe(THREADS),
    "engine": maybe(TEXT),
    "env_runners": maybe(WHOLE),
    "masks": maybe(TEXT),
    "describer": maybe(TEXT),
    "model_fingerprint": maybe(TEXT),
    "budget": maybe(BUDGET),
    "versions": maybe(TEXTS),
    "git": maybe(COMMIT),
}
EPISODE = {
    "step": WHOLE,
    "return": NUMBER,
    "env": maybe(WHOLE),
    "length": maybe(WHOLE),
    "terminated": maybe(FLAG),
    "truncated": maybe(FLAG),
}
_MEASURED = (
    "rollout/return_mean",
    "time/seconds",
    "time/model_seconds",
    "model/texts",
    "model/texts_remembered",
    "model/texts_from_disk",
    "model/tokens",
    "model/gigaflops",
)
METRICS = {"step": WHOLE, **dict.fromkeys(_MEASURED, maybe(NUMBER))}
"""A watcher of a user's may put anything else into a row."""
CRITIQUE = {"reward": TEXT, "text": TEXT, "value": maybe(NUMBER), "critique": maybe(TEXT)}


def require(
    file: Path,
    data: Mapping[str, Any],
    kinds: Mapping[str, Kind],
    cure: str,
    other: Kind | None = None,
) -> None:
    """Refuse a file, or a row of one, in which a value is of another kind than it should.

    Args:
        file: For the message.
        data: What was read.
        kinds: Of its values by name; what is not there is ``None``.
        cure: For the message.
        other: Kind of the values with other names; anything unless given.

    Raises:
        RunError: It is.
    """
    for name, kind in kinds.items():
        if not kind.holds(data.get(name)):
            raise damaged(file, f"{name!r} is {shown(data.get(name))}, not {kind.name}", cure)
    if other is None:
        return
    for name, value in data.items():
        if not other.holds(value) and name not in kinds:
            raise damaged(file, f"{name!r} is {shown(value)}, not {other.name}", cure)
