"""The scale of a bonus: one weight serves all methods, and a bonus that fades keeps its share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dragoman.maths.moments import Moments

DISCOUNT = 0.99
"""Of the bonuses of one copy of the environment, across the ends of its episodes."""
LARGEST = 10.0
"""A bonus on this scale is cut here: while few returns are known, they may hardly differ."""
LEAST = 1e-8
"""A smaller standard deviation is rounding: nothing is known of the scale yet."""


class ReturnScale:
    """Divides a bonus by the standard deviation of its discounted sums over the training.

    Burda, Edwards, Storkey and Klimov, "Exploration by Random Network Distillation" (2018): the
    sums run on where an episode ends, since what it has made known stays known in the next.

    Args:
        num_envs: ``N``.

    Attributes:
        sums: The discounted sum of each copy, ``(N,)``.
        moments: Of all sums so far.
        learning: Whether these take in more.
    """

    learning = True
    resumes = ("running", "moments")

    def __init__(self, num_envs: int) -> None:
        self.sums = np.zeros(num_envs)
        self.moments = Moments.empty(1)

    @property
    def running(self) -> NDArray[np.float64]:
        """The sums; where a training is resumed with other copies, some begin with the same."""
        return self.sums

    @running.setter
    def running(self, sums: NDArray[np.float64]) -> None:
        self.sums = np.resize(sums, len(self.sums))

    @property
    def deviation(self) -> float:
        """The standard deviation; 0 where nothing is known."""
        return float(np.sqrt(self.moments.variance[0])) if self.moments.count else 0.0

    def __call__(self, envs: NDArray[np.int64], bonus: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the bonuses of a step of some copies on this scale ``(n,)``, learning from them.

        They are 0 as long as the sums do not differ.
        """
        if self.learning:
            self.sums[envs] = DISCOUNT * self.sums[envs] + bonus
            self.moments = self.moments.merge(self.sums[envs][:, None])
        if self.deviation < LEAST:
            return np.zeros(len(bonus))
        return np.minimum(bonus / self.deviation, LARGEST)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the moments, to be saved."""
        return self.moments.arrays()

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore what `state` returned; the sums of running episodes begin again at 0."""
        self.moments = Moments.of_arrays(state)
