"""What a training with a program shows of it, and how a language model reads that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dragoman.errors import ConfigError
from dragoman.programs.schema import Schema
from dragoman.programs.transitions import Transitions

POINTS = 10
"""A curve is shown to a language model by so many numbers."""

LIPSCHITZ_FLOOR = 1e-2
"""Added to differences of a state before dividing by them."""


@dataclass(frozen=True)
class ProgramResult:
    """What came of one training.

    Attributes:
        score: The environment's own mean return after training: never the program's reward.
        curves: Values over the training by name: each term's mean sum an episode, lengths of
            episodes and whatever else helps to understand.
    """

    score: float
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not np.isfinite(self.score):
            raise ConfigError(f"the score is {self.score}", cure="give the mean return in episodes")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that `from_dict` reads."""
        curves = {name: [float(item) for item in curve] for name, curve in self.curves.items()}
        return {"score": float(self.score), "curves": curves}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ProgramResult:
        """Return the result that `to_dict` has written."""
        return cls(data["score"], {name: tuple(curve) for name, curve in data["curves"].items()})


def reflection(results: Sequence[ProgramResult]) -> str:
    """Return the statistics of trainings in words and numbers, after Eureka (Ma et al., 2024).

    Curves of several seeds are averaged point by point, each squeezed to at most `POINTS` means.
    """
    scores = [result.score for result in results]
    lines = [f"return after training: {np.mean(scores):.4g} (seeds: {_list(scores)})"]
    for name in results[0].curves:
        curves = [squeezed(result.curves[name]) for result in results if name in result.curves]
        curve = np.mean(curves, axis=0) if len({len(item) for item in curves}) == 1 else curves[0]
        if len(curve):
            lines.append(
                f"{name}: {_list(curve)}, max {max(curve):.4g}, mean {np.mean(curve):.4g}, "
                f"min {min(curve):.4g}"
            )
    return "\n".join(lines)


def squeezed(curve: Sequence[float]) -> NDArray[np.float64]:
    """Return at most `POINTS` means of equal parts of a curve, in order."""
    values = np.asarray(curve, dtype=np.float64)
    parts = np.array_split(values, min(POINTS, len(values))) if len(values) else []
    return np.array([part.mean() for part in parts])


def lipschitz(
    values: NDArray[np.float64], transitions: Transitions, schema: Schema
) -> dict[str, float]:
    """Return how steeply the sum of terms changes with each number of the next state.

    For each number, transitions are sorted by it, and the largest |Δr| / (|Δs| + 0.01) of
    neighbours is taken, after LESR (Wang et al., 2024), who average it over trainings. A large
    one marks a number on which the reward jumps.

    Args:
        values: Terms ``(M, C)`` on the transitions.
        transitions: What they were computed from.
        schema: Names of the numbers.
    """
    totals = values.sum(axis=1)
    result = {}
    for column, name in enumerate(schema.state_names):
        states = transitions.next_states[:, column]
        order = np.argsort(states, kind="stable")
        steps = np.abs(np.diff(states[order])) + LIPSCHITZ_FLOOR
        result[name] = float((np.abs(np.diff(totals[order])) / steps).max(initial=0.0))
    return result


def _list(values: Sequence[float] | NDArray[np.float64]) -> str:
    return f"[{', '.join(f'{value:.4g}' for value in values)}]"
