"""What the documentation of some environments says only in prose, written down by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym

from dragoman.describe.families import atari, classic_control, minigrid, mujoco, toy_text
from dragoman.describe.features import Feature
from dragoman.describe.words import DEGREES, Teller, Words


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


WRITERS: Mapping[str, Callable[[Any], Callable[[Any], str] | None]] = {
    "AtariEnv": atari.ram_writer,
    "BlackjackEnv": toy_text.blackjack,
    "CliffWalkingEnv": toy_text.cliff_walking,
    "FrozenLakeEnv": toy_text.frozen_lake,
    "TaxiEnv": toy_text.taxi,
}
"""Writers of whole observations, made from one (unwrapped) environment.

By the name of its class or of one that it inherits from; nothing where a subclass has changed
its observations. No two observations of whole numbers may have one text.
"""

FIELDS: Mapping[str, Callable[[Any], Mapping[str, Callable[[Any], str]] | None]] = {
    "CliffWalkingEnv": toy_text.grid_fields,
    "FrozenLakeEnv": toy_text.grid_fields,
}
"""Fields of templates beside the whole text that a writer of `WRITERS` makes."""


@dataclass(frozen=True)
class Sentences:
    """What tells of an observation that is a vector of numbers.

    Attributes:
        sizes: The numbers of numbers that it understands; wrappers and settings change them.
        make: Makes it for a way to write numbers.
    """

    sizes: tuple[int, ...]
    make: Callable[[Words], Teller]


SENTENCES: Mapping[str, Sentences] = {
    "AcrobotEnv": Sentences((6,), classic_control.acrobot),
    "AntEnv": Sentences((27, 105), mujoco.ant),
    "Continuous_MountainCarEnv": Sentences((2,), classic_control.mountain_car(0.45)),
    "HalfCheetahEnv": Sentences((17,), mujoco.runner(mujoco.CHEETAH, relative=True)),
    "HopperEnv": Sentences((11,), mujoco.runner(mujoco.HOPPER)),
    "InvertedPendulumEnv": Sentences((4,), mujoco.inverted_pendulum),
    "MountainCarEnv": Sentences((2,), classic_control.mountain_car(0.5)),
    "PendulumEnv": Sentences((3,), classic_control.pendulum),
    "PusherEnv": Sentences((23,), mujoco.pusher),
    "ReacherEnv": Sentences((10,), mujoco.reacher),
    "SwimmerEnv": Sentences((8,), mujoco.swimmer),
    "Walker2dEnv": Sentences((17,), mujoco.runner(mujoco.WALKER)),
}
"""Sentences instead of a list of named numbers, by class name."""

PACKAGES = ("ale_py", "gymnasium", "minigrid")
"""Whose class names the tables of this module mean: others may have classes of the same name."""


@dataclass(frozen=True)
class Family:
    """Environments that share a base class and speak for themselves by their observations.

    Attributes:
        package: The package of the base class, and of wrappers whose observations are read too.
        needed: The parts of an observation that are read.
        write: Writer of whole observations behind wrappers of these class names, if there is one.
        actions: Texts of discrete actions; a member may have only the first ones.
    """

    package: str
    needed: frozenset[str]
    write: Callable[[frozenset[str]], Callable[[Any], str] | None]
    actions: tuple[str, ...]

    def writer(
        self, space: gym.Space[Any], wrappers: frozenset[str]
    ) -> Callable[[Any], str] | None:
        """Return a writer of observations of a space, if they have what it reads.

        Args:
            space: The space; a member may have one of its own.
            wrappers: Class names of the wrappers of the package that change observations.
        """
        has_parts = isinstance(space, gym.spaces.Dict) and self.needed <= space.keys()
        return self.write(wrappers) if has_parts or wrappers else None


FAMILIES: Mapping[str, Family] = {
    "MiniGridEnv": Family("minigrid", minigrid.NEEDED, minigrid.writer, minigrid.ACTIONS),
}
"""Families by the name of their base class, so that describing needs none of their packages."""
