"""What the documentation of some environments says only in prose, written down by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym

from dragoman.describe.features import Feature

DEGREES = 180 / math.pi


def _legs(*templates: tuple[str, str, float]) -> tuple[Feature, ...]:
    return tuple(
        Feature(name.format(leg=leg), unit, scale)
        for leg in ("first", "second")
        for name, unit, scale in templates
    )


OBSERVATIONS: Mapping[str, tuple[Feature, ...]] = {
    "LunarLander": (
        Feature("horizontal position from the landing pad"),
        Feature("height above the landing pad"),
        Feature("horizontal velocity"),
        Feature("vertical velocity"),
        Feature("angle", "degrees", DEGREES),
        Feature("angular velocity"),
        Feature("left leg touches the ground"),
        Feature("right leg touches the ground"),
    ),
    "BipedalWalker": (
        Feature("hull angle", "degrees", DEGREES),
        Feature("hull angular velocity"),
        Feature("horizontal velocity"),
        Feature("vertical velocity"),
        *_legs(
            ("hip angle of the {leg} leg", "degrees", DEGREES),
            ("hip speed of the {leg} leg", "", 1.0),
            ("knee angle of the {leg} leg", "degrees", DEGREES),
            ("knee speed of the {leg} leg", "", 1.0),
            ("ground contact of the {leg} leg", "", 1.0),
        ),
        *(Feature(f"lidar distance {i} of 10") for i in range(1, 11)),
    ),
}
"""Features of observations by class name."""

ACTIONS: Mapping[str, tuple[Feature, ...]] = {
    "BipedalWalker": _legs(
        ("hip motor speed of the {leg} leg", "", 1.0),
        ("knee motor speed of the {leg} leg", "", 1.0),
    ),
    "Continuous_MountainCarEnv": (Feature("force on the car, to the right"),),
    "LunarLander": (
        Feature("throttle of the main engine"),
        Feature("throttle of the side engines"),
    ),
}
"""Features of continuous actions by class name."""

DIRECTIONS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "CartPoleEnv": {"pole angle": ("right", "left")},
}
"""Words for positive and negative values, by class name and feature."""


def _grid_cell(env: Any) -> Callable[[int], str] | None:
    rows, columns = env.desc.shape if hasattr(env, "desc") else env.shape
    if env.observation_space != gym.spaces.Discrete(rows * columns):
        return None

    def write(cell: int) -> str:
        row, column = divmod(int(cell), columns)
        return f"row {row}, column {column} of {rows} rows and {columns} columns"

    return write


def _taxi(env: Any) -> Callable[[int], str]:
    stops = ("the red stop", "the green stop", "the yellow stop", "the blue stop")

    def write(state: int) -> str:
        row, column, passenger, destination = env.decode(int(state))
        where = "in the taxi" if passenger == len(stops) else f"at {stops[passenger]}"
        return (
            f"taxi at row {row}, column {column} of 5 rows and 5 columns, "
            f"passenger {where}, destination {stops[destination]}"
        )

    return write


def _blackjack(env: Any) -> Callable[[tuple[int, int, int]], str]:
    def write(hand: tuple[int, int, int]) -> str:
        total, dealer, usable = hand
        ace = "a usable ace" if usable else "no usable ace"
        return f"player's sum {int(total)}, dealer shows {int(dealer)}, {ace}"

    return write


WRITERS: Mapping[str, Callable[[Any], Callable[[Any], str] | None]] = {
    "BlackjackEnv": _blackjack,
    "CliffWalkingEnv": _grid_cell,
    "FrozenLakeEnv": _grid_cell,
    "TaxiEnv": _taxi,
}
"""Writers of whole observations, made from one (unwrapped) environment.

By the name of its class or of one that it inherits from; nothing where a subclass has changed
its observations. No two observations of whole numbers may have one text.
"""
