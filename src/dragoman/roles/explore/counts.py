"""Counts: 1 / √visits of a state over the whole training, in all copies of the environment.

Strehl and Littman (2008). A state is its text, so that the describer decides which observations are
one state; or the exact observation, which is the control that knows no text at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dragoman.roles.explore.states import States


class Counts:
    """The bonus of counts.

    Attributes:
        visits: How often each state was reached, by name.
        learning: Whether visits are counted.
    """

    learning = True
    resumes = ("visits",)

    def __init__(self) -> None:
        self.visits: Counter[int] = Counter()

    def begin(self, envs: NDArray[np.int64], states: States) -> None:
        """Count where episodes begin."""
        if self.learning:
            self.visits.update(states.names.tolist())

    def bonus(self, envs: NDArray[np.int64], states: States) -> NDArray[np.float64]:
        """Count, and return 1 / √visits, this one among them."""
        names = states.names.tolist()
        if self.learning:
            self.visits.update(names)
            return np.array([self.visits[name] for name in names], np.float64) ** -0.5
        return np.array([self.visits[name] + 1 for name in names], np.float64) ** -0.5

    def state(self) -> dict[str, NDArray[Any]]:
        """Return how often each state was reached."""
        return {
            "names": np.array(list(self.visits), np.int64),
            "visits": np.array(list(self.visits.values()), np.int64),
        }

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore what `state` returned."""
        pairs = zip(state["names"].tolist(), state["visits"].tolist(), strict=True)
        self.visits = Counter(dict(pairs))
