"""Sentences for Gymnasium's MuJoCo robots, from their observations alone.

Planar robots run along x: forward is positive x, and a positive pitch turns the front down. Robots
in space have y to their left and z up. Positions of whole robots are left out of the
observations, so nothing here knows how far a robot has come.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from dragoman.describe.families.family import Family
from dragoman.describe.words import Words, either
from dragoman.phrases import listed

FORWARD = ("forward", "backward")
SIDEWAYS = ("to the left", "to the right")
UP = ("up", "down")

CHEETAH = ("back thigh", "back shin", "back foot", "front thigh", "front shin", "front foot")
HOPPER = ("thigh", "leg", "foot")
WALKER = ("right thigh", "right leg", "right foot", "left thigh", "left leg", "left foot")
ARM = (
    "shoulder pan",
    "shoulder lift",
    "upper arm roll",
    "elbow",
    "forearm roll",
    "wrist flex",
    "wrist roll",
)
LEGS = ("front left", "front right", "back left", "back right")
ANT_JOINTS = tuple(f"{leg} {joint}" for leg in LEGS for joint in ("hip", "ankle"))
ANT_BODIES = (
    "torso",
    *(f"{leg} {part}" for leg in LEGS for part in ("hip", "upper leg", "foot")),
)
"""The bodies of the ant in the order of their contact forces."""
ANT_POSE = 27
"""Numbers of the ant's pose and motion; contact forces may follow."""


class Runner(Family):
    """A planar robot: height, pitch and joints, then their velocities.

    Args:
        joints: Names of the hinges, in order.
        relative: Whether the height is that above the robot's first one, not the ground.
    """

    def __init__(self, joints: Sequence[str], *, relative: bool = False) -> None:
        self.joints, self.relative = joints, relative
        self.sizes = (5 + 2 * len(joints),)

    def sentences(self, words: Words, numbers: Sequence[float]) -> str:
        """Return how the torso stands and moves, and every joint."""
        count = len(self.joints)
        z, pitch, *angles = numbers[: 2 + count]
        ahead, rise, spin, *rates = numbers[2 + count :]
        height = f"{words.number(z)} m high"
        if self.relative:
            height = f"{_way(words.centimetres, z, ('above', 'below'))} where it began"
        return " ".join(
            (
                f"The torso is {height} and leans {_lean(words, pitch)}.",
                f"It moves {_speed(words, ahead, FORWARD)} and {_speed(words, rise, UP)}, "
                f"pitching {_way(words.degrees, spin, FORWARD)} per second.",
                *_joints(words, self.joints, angles, rates),
            )
        )


class Swimmer(Family):
    """A chain of three links seen from above: angles, then velocities."""

    sizes = (8,)

    def sentences(self, words: Words, numbers: Sequence[float]) -> str:
        """Return where the front link points and moves, and both joints."""
        heading, *angles, ahead, aside, spin = numbers[:6]
        rates = numbers[6:]
        return " ".join(
            (
                f"The front link points {_turned(words, heading)} of straight ahead, "
                f"{words.turning(spin)}.",
                f"Its tip moves {_speed(words, ahead, FORWARD)} and "
                f"{_speed(words, aside, SIDEWAYS)}.",
                *_joints(words, ("first joint", "second joint"), angles, rates),
            )
        )


class InvertedPendulum(Family):
    """A cart on a rail and the pole on it."""

    sizes = (4,)

    def sentences(self, words: Words, numbers: Sequence[float]) -> str:
        """Return how the pole leans and falls, and where the cart is and moves."""
        position, angle, speed, rate = numbers
        sides = ("to the right", "to the left")
        return (
            f"The pole leans {_way(words.degrees, angle, sides)} and falls "
            f"{_way(words.degrees, rate, sides)} per second. "
            f"The cart is {_way(words.centimetres, position, sides)} of the centre and moves "
            f"{_speed(words, speed, sides)}."
        )


class Reacher(Family):
    """An arm with two joints, seen from above, and the target of its fingertip."""

    sizes = (10,)

    def sentences(self, words: Words, numbers: Sequence[float]) -> str:
        """Return both joints, and how far the target is."""
        cos1, cos2, sin1, sin2, x, y, rate1, rate2, dx, dy = numbers
        shoulder, elbow = math.atan2(sin1, cos1), math.atan2(sin2, cos2)
        return (
            f"The shoulder is at {words.degrees(shoulder)}, {words.turning(rate1)}. "
            f"The elbow is at {words.degrees(elbow)}, {words.turning(rate2)}. "
            f"The target is {_offset(words, (x, y), 'from the shoulder')} it. "
            f"The fingertip is {_offset(words, (dx, dy), 'away')} it."
        )


class Pusher(Family):
    """An arm with seven joints, its fingertip, the object and the object's goal."""

    sizes = (23,)

    def sentences(self, words: Words, numbers: Sequence[float]) -> str:
        """Return where object and goal are, and every joint."""
        angles, rates = numbers[:7], numbers[7:14]
        tip, thing, goal = (np.array(numbers[i : i + 3]) for i in (14, 17, 20))
        return " ".join(
            (
                f"The object is {_place(words, thing - tip, 'from the fingertip')}.",
                f"The goal is {_place(words, goal - thing, 'from the object')}.",
                *_joints(words, ARM, angles, rates),
            )
        )


class Ant(Family):
    """A torso with four legs of two joints, and what touches the ground."""

    sizes = (ANT_POSE, 105)

    def sentences(self, words: Words, numbers: Sequence[float]) -> str:
        """Return how the torso stands and moves, every joint, and the contacts."""
        height, *quaternion = numbers[:5]
        angles, motion, rates = numbers[5:13], numbers[13:19], numbers[19:ANT_POSE]
        roll, pitch, yaw = _roll_pitch_yaw(quaternion)
        sentences = [
            f"The torso is {words.number(height)} m high and leans {_lean(words, pitch)} and "
            f"{_way(words.degrees, roll, SIDEWAYS[::-1])}.",
            f"It faces {_turned(words, yaw)} of straight ahead.",
            f"It moves {_speed(words, motion[0], FORWARD)}, {_speed(words, motion[1], SIDEWAYS)} "
            f"and {_speed(words, motion[2], UP)}.",
            f"It rolls {_way(words.degrees, motion[3], SIDEWAYS[::-1])}, pitches "
            f"{_way(words.degrees, motion[4], FORWARD)} and turns "
            f"{_way(words.degrees, motion[5], SIDEWAYS)} per second.",
            *_joints(words, ANT_JOINTS, angles, rates),
        ]
        if len(numbers) > ANT_POSE:
            sentences.append(_contacts(words, numbers[ANT_POSE:]))
        return " ".join(sentences)


def _joints(
    words: Words, names: Sequence[str], angles: Sequence[float], rates: Sequence[float]
) -> list[str]:
    return [
        f"The {name} is at {words.degrees(angle)}, {words.turning(rate)}."
        for name, angle, rate in zip(names, angles, rates, strict=True)
    ]


def _contacts(words: Words, forces: Sequence[float]) -> str:
    """Say how hard each body is pushed from outside; each has a torque and a force."""
    pushes = np.linalg.norm(np.reshape(forces, (-1, 6))[:, 3:], axis=1).tolist()
    touched = [
        f"the {name} with {words.number(push)}"
        for name, push in zip(ANT_BODIES, pushes, strict=True)
        if push
    ]
    return f"Pushed from outside: {', '.join(touched) or 'nothing'}."


def _way(write: Callable[[float], str], value: float, ways: tuple[str, str]) -> str:
    """Return a size and its direction: "18 cm to the right"."""
    way = either(value, *ways, "")
    return f"{write(abs(value))}{' ' if way else ''}{way}"


def _lean(words: Words, pitch: float) -> str:
    return _way(words.degrees, pitch, FORWARD)


def _turned(words: Words, yaw: float) -> str:
    return _way(words.degrees, yaw, ("to the left", "to the right"))


def _speed(words: Words, value: float, ways: tuple[str, str]) -> str:
    way = either(value, *ways, "")
    return f"{way}{' ' if way else ''}at {words.number(abs(value))} m/s"


def _offset(words: Words, offset: tuple[float, float], reference: str) -> str:
    """Say where something is on a board: "18 cm away: 16 cm to the right and 7 cm below it"."""
    x, y = offset
    aside = _way(words.centimetres, x, ("to the right", "to the left"))
    along = _way(words.centimetres, y, ("above", "below"))
    return f"{words.centimetres(math.hypot(x, y))} {reference}: {aside} and {along}"


def _place(words: Words, offset: Sequence[float], reference: str) -> str:
    """Say where something is: "9 cm from it: 3 cm forward, 5 cm to the left and 7 cm up"."""
    parts = zip(offset, (FORWARD, SIDEWAYS, UP), strict=True)
    return (
        f"{words.centimetres(math.hypot(*offset))} {reference}: "
        f"{listed(_way(words.centimetres, float(value), ways) for value, ways in parts)}"
    )


def _roll_pitch_yaw(quaternion: Sequence[float]) -> tuple[float, float, float]:
    """Return the angles about x, y and z, in that order of turning, of a unit quaternion."""
    w, x, y, z = quaternion
    return (
        math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y)),
        math.asin(max(-1.0, min(1.0, 2 * (w * y - z * x)))),
        math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)),
    )
