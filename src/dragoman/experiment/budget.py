"""What makes two trainings comparable: equal steps, equal seconds or equal tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from dragoman.errors import ConfigError

Measure: TypeAlias = Literal["steps", "seconds", "tokens"]

MOST_TIMES = 10
"""A training that never uses its budget up ends after this many times its experiment's steps.

It happens: an agent whose every text is remembered needs no more tokens.
"""


@dataclass(frozen=True)
class Budget:
    """How much of something a training may use before it ends.

    Attributes:
        measure: ``seconds`` of training by the clock, or ``tokens`` through the language model.
        amount: How many.
    """

    measure: Literal["seconds", "tokens"]
    amount: float

    def __post_init__(self) -> None:
        if not self.amount > 0:
            raise ConfigError(
                f"the budget of {self.measure} is {self.amount}, but must be above 0",
                cure="compare by steps where no arm uses any",
            )
