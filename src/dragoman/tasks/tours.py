"""Reference policies of the routing environment: nearest neighbour and savings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from dragoman.tasks import masks
from dragoman.tasks.routing import DEPOT, RoutingEnv


def nearest_neighbour(env: gym.Env[Any, Any]) -> int:
    """Drive to the nearest stop that the load serves; to the depot when there is none."""
    routing = _routing(env)
    stops = np.flatnonzero(routing.action_masks()[1:]) + 1
    if not stops.size:
        return DEPOT
    return int(stops[np.argmin(routing.distances_from(routing.at)[stops])])


def savings(env: gym.Env[Any, Any]) -> int:
    """Follow the routes of `savings_routes`, each from its lower end on.

    Off the plan (the truck having been driven by someone else) it goes on with whatever the
    truck's own route still lacks, as far as the load serves it.
    """
    routing = _routing(env)
    mask = routing.action_masks()
    routes = savings_routes(routing)
    if routing.at == DEPOT:
        # After a detour part of a route may be served; its rest is a route too.
        return next((stop for route in routes for stop in route if mask[stop]), DEPOT)
    route = next(route for route in routes if routing.at in route)
    rest = route[route.index(routing.at) + 1 :]
    return next((stop for stop in rest if mask[stop]), DEPOT)


def savings_routes(routing: RoutingEnv) -> list[list[int]]:
    """Return routes for all stops of an instance by parallel savings.

    Starting from one route a stop, the two ends i and j that save most by being joined,
    ``d(depot, i) + d(depot, j) - d(i, j)``, are joined while the capacity allows: Clarke and
    Wright, Scheduling of vehicles from a central depot, Operations Research 12 (1964).
    """
    distances = np.stack([routing.distances_from(place) for place in range(routing.stops + 1)])
    saved = distances[DEPOT][:, None] + distances[DEPOT] - distances
    firsts, seconds = np.triu_indices(routing.stops + 1, k=1)
    order = np.argsort(-saved[firsts, seconds], kind="stable")
    route_of = {stop: [stop] for stop in range(1, routing.stops + 1)}
    for first, second in zip(firsts[order].tolist(), seconds[order].tolist(), strict=True):
        if first == DEPOT or saved[first, second] <= 0:
            continue
        left, right = route_of[first], route_of[second]
        if left is right or routing.demands[left + right].sum() > routing.capacity:
            continue
        if first not in (left[0], left[-1]) or second not in (right[0], right[-1]):
            continue
        joined = [
            *(left if left[-1] == first else left[::-1]),
            *(right if right[0] == second else right[::-1]),
        ]
        route_of |= dict.fromkeys(joined, joined)
    unique = {min(route): route for route in route_of.values()}
    return [route if route[0] < route[-1] else route[::-1] for route in unique.values()]


POLICIES: dict[str, Callable[[gym.Env[Any, Any]], int]] = {
    "nearest": nearest_neighbour,
    "savings": savings,
    "random": masks.uniform,
}
"""Every reference by its name; ``random`` draws any allowed drive from the action space."""


def _routing(env: gym.Env[Any, Any]) -> RoutingEnv:
    return masks.played(env, RoutingEnv, "dragoman/CVRP-v0")
