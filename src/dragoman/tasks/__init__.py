"""The environments that ship with Dragoman, in pure Python and NumPy.

Importing this package registers them, and an id may name it: Gymnasium 1.0 gave up loading
environments by entry point, so a program that has not imported it writes
``gymnasium.make("dragoman.tasks:dragoman/JobShop-v0")``.
"""

from __future__ import annotations

import gymnasium as gym

# Id, class, and a limit above the longest episode, so that every episode ends by its own rules.
ENVIRONMENTS = (
    ("dragoman/CVRP-v0", "dragoman.tasks.routing:RoutingEnv", 1000),
    ("dragoman/JobShop-v0", "dragoman.tasks.job_shop:JobShopEnv", 1000),
)


def register_all() -> None:
    """Register every environment of this package with Gymnasium; twice is as good as once."""
    for name, entry_point, max_episode_steps in ENVIRONMENTS:
        if name not in gym.registry:
            gym.register(name, entry_point=entry_point, max_episode_steps=max_episode_steps)


register_all()
