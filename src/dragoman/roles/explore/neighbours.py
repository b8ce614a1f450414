"""Neighbours: how far a state lies from the nearest states of its episode.

The episodic part of "Never Give Up" (Badia and others, 2020). Of the squared distances d² to the k
nearest states of the episode, each divided by the mean of all such distances so far:

    d ← max(d² / mean − ξ, 0)        states nearer than ξ are one
    s = √(Σ ε / (d + ε)) + c         the kernel is 1 for the same state
    b = 1 / s, or 0 where s > 8      nothing for what was seen over and over
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dragoman.roles.explore.states import States
from dragoman.types import FloatArray

NEAREST = 10
"""k"""
CLUSTER = 0.008
"""ξ"""
EPSILON = 1e-3
"""ε"""
OFFSET = 1e-3
"""c"""
MOST_SIMILAR = 8.0
REMEMBERED = 4096
"""Most states of an episode that are remembered: the last."""


class Neighbours:
    """The bonus of the nearest neighbours.

    Args:
        num_envs: ``N``.
        size: Width ``D`` of the features.

    Attributes:
        total: Sum of the squared distances to nearest neighbours so far.
        count: Number of them.
        learning: Whether these take in more.
    """

    learning = True
    resumes = ("total", "count")

    def __init__(self, num_envs: int, size: int) -> None:
        self._memory = np.zeros((num_envs, REMEMBERED, size), np.float32)
        self._lengths = np.zeros(num_envs, np.int64)
        self.total, self.count = 0.0, 0

    def begin(self, envs: NDArray[np.int64], states: States) -> None:
        """Forget the episodes before, and remember the first states."""
        self._lengths[envs] = 0
        self._remember(envs, states.features)

    def bonus(self, envs: NDArray[np.int64], states: States) -> NDArray[np.float64]:
        """Return the bonus by the episode before these states, and remember them."""
        nearest = [self._nearest(i, phi) for i, phi in zip(envs, states.features, strict=True)]
        for squared in nearest if self.learning else ():
            self.total += float(squared.sum())
            self.count += len(squared)
        self._remember(envs, states.features)
        # Where no distance is known but 0, all states have been one.
        mean = self.total / self.count if self.total else 1.0
        return np.array([bonus_of(squared / mean) for squared in nearest], np.float64)

    def _nearest(self, env: int, phi: FloatArray) -> NDArray[np.float64]:
        """Return the squared distances to the nearest states of an episode."""
        memory = self._memory[env, : min(self._lengths[env], REMEMBERED)]
        squared = ((memory - phi) ** 2).sum(axis=1, dtype=np.float64)
        return np.partition(squared, NEAREST)[:NEAREST] if len(squared) > NEAREST else squared

    def _remember(self, envs: NDArray[np.int64], features: FloatArray) -> None:
        self._memory[envs, self._lengths[envs] % REMEMBERED] = features
        self._lengths[envs] += 1

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what the mean of the distances is made of."""
        return {"total": np.array(self.total), "count": np.array(self.count)}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore what `state` returned."""
        self.total, self.count = float(state["total"]), int(state["count"])


def bonus_of(distances: NDArray[np.float64]) -> float:
    """Return the bonus of a state by its squared distances, in their mean.

    >>> round(bonus_of(np.zeros(1)), 3), bonus_of(np.zeros(70))
    (0.999, 0.0)
    """
    kernel = EPSILON / (np.maximum(distances - CLUSTER, 0.0) + EPSILON)
    similarity = float(np.sqrt(kernel.sum())) + OFFSET
    return 0.0 if similarity > MOST_SIMILAR else 1.0 / similarity
