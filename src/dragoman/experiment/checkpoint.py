"""How often a training is kept, so that it can be resumed, as frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import pydantic

from dragoman.errors import ConfigError
from dragoman.settings import COUNT, check_fields


@dataclass(frozen=True)
class Checkpoint:
    """When all that a training needs to go on is written into the run folder.

    With each checkpoint the copies of the environment begin new episodes, with seeds of their own,
    and the models forget what they have remembered: a resumed training begins so too, and is equal
    to the last digit. So the interval is part of what is trained, and is counted in steps.

    Attributes:
        every: Least environment steps between two checkpoints, over all copies. Each is taken
            after an update, once four episodes a copy have ended since the last.
        keep: How many are kept; the one before is used where the newest is damaged.
    """

    every: Annotated[int, COUNT] = 50_000
    keep: int = 2

    def __post_init__(self) -> None:
        check_fields(self, "checkpoint")
        for name in ("every", "keep"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"checkpoint.{name} is {getattr(self, name)}, but must be at least 1",
                    cure=f"raise checkpoint.{name}, or write 'checkpoint: off'",
                )


def _every(value: Any) -> Any:
    is_number = isinstance(value, int | float | str) and not isinstance(value, bool)
    return {"every": value} if is_number else value


BY_EVERY = pydantic.BeforeValidator(_every)
"""Lets a number of steps stand for the whole."""
