"""Reference policies of the job shop: the classic priority rules.

Each looks only at the operations that can start first (so no machine idles while an operation
waits for it: a non-delay schedule), and breaks ties by the lowest job index. Definitions:
Panwalkar and Iskander, A survey of scheduling rules, Operations Research 25 (1977).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dragoman.tasks import masks
from dragoman.tasks.job_shop import JobShopEnv


def shortest_processing_time(env: gym.Env[Any, Any]) -> int:
    """SPT: the operation with the fewest hours."""
    shop = _shop(env)
    return _first(shop, shop.next_operations()[1])


def longest_processing_time(env: gym.Env[Any, Any]) -> int:
    """LPT: the operation with the most hours."""
    shop = _shop(env)
    return _first(shop, -shop.next_operations()[1])


def most_work_remaining(env: gym.Env[Any, Any]) -> int:
    """MWR: the job with the most hours left."""
    shop = _shop(env)
    return _first(shop, -shop.work_left())


def most_operations_remaining(env: gym.Env[Any, Any]) -> int:
    """MOR: the job with the most operations left."""
    shop = _shop(env)
    return _first(shop, shop.done_operations)


def first_in_first_out(env: gym.Env[Any, Any]) -> int:
    """FIFO: the operation that has waited longest, its job being free since."""
    shop = _shop(env)
    return _first(shop, shop.job_free)


RULES: dict[str, Callable[[gym.Env[Any, Any]], int]] = {
    "SPT": shortest_processing_time,
    "LPT": longest_processing_time,
    "MWR": most_work_remaining,
    "MOR": most_operations_remaining,
    "FIFO": first_in_first_out,
    "random": masks.uniform,
}
"""Every reference by its name; ``random`` draws any unfinished job from the action space."""


def _shop(env: gym.Env[Any, Any]) -> JobShopEnv:
    return masks.played(env, JobShopEnv, "dragoman/JobShop-v0")


def _first(shop: JobShopEnv, priority: NDArray[np.int64]) -> int:
    """Return the unfinished job of least priority number among those that can start first."""
    is_unfinished = shop.action_masks() == 1
    starts = shop.earliest_starts()
    is_first = is_unfinished & (starts == starts[is_unfinished].min())
    jobs = np.flatnonzero(is_first)
    return int(jobs[np.argmin(priority[jobs])])
