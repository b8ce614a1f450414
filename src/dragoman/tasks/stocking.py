"""Reference policies of the supply chain.

An echelon is a stage with all that is downstream of it. An echelon base-stock policy orders for
each stage what its echelon, with all that is on its way there, lacks to a fixed level (Clark and
Scarf, Optimal policies for a multi-echelon inventory problem, Management Science 6, 1960). The
levels were found by coordinate search over 30 seeds beyond those that the figures are made of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from dragoman.tasks import masks
from dragoman.tasks.inventory import STAGES, InventoryEnv

BASE_STOCKS = (92, 208, 408)
BASE_STOCKS_TO_THE_END = (93, 211, 418)
LAST_DAYS = 20
"""What the factory orders now reaches customers in 18 days at the soonest."""


def echelon_base_stock(env: gym.Env[Any, Any]) -> Any:
    """Order up to `BASE_STOCKS`, to the last day."""
    chain = _chain(env)
    return chain.action_for(_missing(chain, BASE_STOCKS))


def echelon_base_stock_to_the_end(env: gym.Env[Any, Any]) -> Any:
    """Order up to `BASE_STOCKS_TO_THE_END`, for the factory only before the `LAST_DAYS`."""
    chain = _chain(env)
    order = _missing(chain, BASE_STOCKS_TO_THE_END)
    if chain.day >= chain.days - LAST_DAYS:
        order[STAGES.index("factory")] = 0
    return chain.action_for(order)


def usual(env: gym.Env[Any, Any]) -> Any:
    """Order the mean demand for every stage, every day."""
    return _chain(env).action_for([20] * len(STAGES))


def uniform(env: gym.Env[Any, Any]) -> Any:
    """Order anything, uniformly at random, from the action space's own generator."""
    return _chain(env).action_space.sample()


RULES: dict[str, Callable[[gym.Env[Any, Any]], Any]] = {
    "base stock to the end": echelon_base_stock_to_the_end,
    "base stock": echelon_base_stock,
    "usual": usual,
    "random": uniform,
}
"""Every reference by its name, the best one first."""


def _missing(chain: InventoryEnv, levels: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return what each echelon lacks to its level and its supplier can send, in units."""
    here = np.array([*map(sum, chain.arrivals())]) + chain.stocks
    can = np.minimum(chain.capacities, [*chain.stocks[1:], np.inf])
    return np.clip(np.subtract(levels, np.cumsum(here)), 0, can)


def _chain(env: gym.Env[Any, Any]) -> InventoryEnv:
    return masks.played(env, InventoryEnv, "dragoman/Inventory-v0")
