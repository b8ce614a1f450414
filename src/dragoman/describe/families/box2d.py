"""Names of what Gymnasium's Box2D tasks document in prose only."""

from __future__ import annotations

from dragoman.describe.families.family import Family
from dragoman.describe.features import Feature
from dragoman.describe.words import DEGREES


def _legs(*templates: tuple[str, str, float]) -> tuple[Feature, ...]:
    return tuple(
        Feature(name.format(leg=leg), unit, scale)
        for leg in ("first", "second")
        for name, unit, scale in templates
    )


class LunarLander(Family):
    """A lander with a main engine and two side engines."""

    observation_features = (
        Feature("horizontal position from the landing pad"),
        Feature("height above the landing pad"),
        Feature("horizontal velocity"),
        Feature("vertical velocity"),
        Feature("angle", "degrees", DEGREES),
        Feature("angular velocity"),
        Feature("left leg touches the ground"),
        Feature("right leg touches the ground"),
    )
    action_features = (
        Feature("throttle of the main engine"),
        Feature("throttle of the side engines"),
    )


class BipedalWalker(Family):
    """A hull on two legs, with a lidar."""

    observation_features = (
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
    )
    action_features = _legs(
        ("hip motor speed of the {leg} leg", "", 1.0),
        ("knee motor speed of the {leg} leg", "", 1.0),
    )
