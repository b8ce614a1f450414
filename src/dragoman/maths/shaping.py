"""Potential-based shaping, which adds reward on the way and leaves the optimal policy as it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dragoman.errors import ConfigError


def shaping(
    before: ArrayLike, after: ArrayLike, is_terminal: ArrayLike, gamma: float
) -> NDArray[np.float64]:
    """Return ``F = gamma * Phi(s') - Phi(s)`` of ``N`` steps.

    Ng, Harada and Russell (1999, theorem 1): adding F changes no optimal policy, whatever Phi,
    where gamma is the learner's own and Phi of a terminal state is zero. A step that is cut off
    by a time limit is no end of the process: its Phi(s') counts. The discounted sum of F over an
    episode telescopes to ``gamma^T * Phi(s_T) - Phi(s_0)``, so that no way around pays.

    With a potential that changes over time, give each state the potential of its own moment:
    ``F = gamma * Phi(s', t+1) - Phi(s, t)`` keeps the guarantee (Devlin and Kudenko, 2012, eq. 4).

    Args:
        before: Phi of the states that were left, ``(N,)``.
        after: Phi of the states that were reached, ``(N,)``.
        is_terminal: Whether those are terminal states, ``(N,)``; never for a time limit alone.
        gamma: The learner's own discount.

    Returns:
        float64 array ``(N,)``.
    """
    reached = np.where(np.asarray(is_terminal), 0.0, np.asarray(after, dtype=np.float64))
    result: NDArray[np.float64] = gamma * reached - np.asarray(before, dtype=np.float64)
    return result


@dataclass(frozen=True)
class Schedule:
    """A number that moves in a straight line over the training and then stays.

    >>> Schedule(start=1.0, end=0.0, steps=1000).at(250)
    0.75

    Attributes:
        start: Its value at the first environment step.
        end: Its value from step ``steps`` on.
        steps: Environment steps, over all copies, that it takes.
    """

    start: float
    end: float
    steps: int

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError(
                f"steps of a schedule is {self.steps}, but must be at least 1", cure="raise it"
            )

    def at(self, step: int) -> float:
        """Return the value after so many environment steps."""
        share = min(max(step / self.steps, 0.0), 1.0)
        return self.start + share * (self.end - self.start)


def weight_at(weight: float | Schedule, step: int) -> float:
    """Return a weight after so many environment steps."""
    return weight.at(step) if isinstance(weight, Schedule) else float(weight)
