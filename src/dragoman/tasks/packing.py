"""Reference policies of the knapsack: the greedy one, and the best there is.

Dantzig, Discrete-variable extremum problems, Operations Research 5 (1957), has the greedy rule;
Bellman, Dynamic programming (1957), the exact one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from dragoman.tasks import masks
from dragoman.tasks.knapsack import KnapsackEnv


def greedy(env: gym.Env[Any, Any]) -> int:
    """Pack what is worth most for its weight, among what fits."""
    sack = _sack(env)
    density = np.where(sack.action_masks(), sack.values / sack.weights, -1)
    return int(density.argmax())


def exact(env: gym.Env[Any, Any]) -> int:
    """Pack the first item of a best filling of what is free."""
    sack = _sack(env)
    counts = best_filling(sack)
    # What is left when the best is packed is worth nothing, but goes on fitting.
    return int((counts > 0).argmax()) if counts.any() else int(sack.action_masks().argmax())


def best_value(env: gym.Env[Any, Any]) -> int:
    """Return the most value that can still be added."""
    sack = _sack(env)
    return int(best_filling(sack) @ sack.values)


def best_filling(sack: KnapsackEnv) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return how many of each item to add for the most value, int ``(items,)``.

    Dynamic program over single copies and kilograms: ``best[k, c]`` is the most value that the
    first k copies can have in c kilograms.
    """
    copies = np.repeat(np.arange(sack.items), sack.left)
    best = np.zeros((len(copies) + 1, sack.free + 1), dtype=np.int64)
    for k, item in enumerate(copies):
        weight, value = sack.weights[item], sack.values[item]
        best[k + 1] = best[k]
        if weight <= sack.free:
            taken = best[k, : sack.free + 1 - weight] + value
            best[k + 1, weight:] = np.maximum(best[k, weight:], taken)
    counts = np.zeros(sack.items, dtype=np.int64)
    room = sack.free
    for k in range(len(copies), 0, -1):
        if best[k, room] > best[k - 1, room]:
            counts[copies[k - 1]] += 1
            room -= sack.weights[copies[k - 1]]
    return counts


RULES: dict[str, Callable[[gym.Env[Any, Any]], int]] = {
    "exact": exact,
    "greedy": greedy,
    "random": masks.uniform,
}
"""Every reference by its name, the best one first."""


def _sack(env: gym.Env[Any, Any]) -> KnapsackEnv:
    return masks.played(env, KnapsackEnv, "dragoman/Knapsack-v0")
