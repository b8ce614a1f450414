"""Reference policies of Gymnasium's control tasks, in a few lines of mechanics each."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dragoman.types import FloatArray

LINKS = (0.1, 0.11)
"""Lengths of Reacher's two links, the second to the fingertip, in metres."""

STIFFNESS, DAMPING = 10.0, 0.05
"""Torque a metre of distance and a radian a second of speed, as shares of the motors' most."""

FREQUENCY = 3.42  # strides a second
GAIT = {
    # Of the torques of back thigh, back shin, back foot, front thigh, front shin, front foot.
    "swing": (1.34, 0.37, -0.20, 0.58, 0.67, -0.28),
    "phase": (-0.90, 0.60, 0.20, 1.79, 1.97, -1.82),
    "rest": (-0.38, -2.12, -0.73, -0.44, -0.38, -0.25),
}
"""Found by the cross-entropy method: 60 rounds of 40 gaits, each on two runs of 400 steps."""


def cart_pole(env: gym.Env[Any, Any]) -> int:
    """Push to the side that the pole falls to, and lean against drifting off the track."""
    position, velocity, angle, spin = env.unwrapped.state  # type: ignore[attr-defined]
    return int(angle + 0.3 * spin + 0.03 * position + 0.06 * velocity > 0)


def mountain_car(env: gym.Env[Any, Any]) -> int:
    """Push the way the car rolls, which adds energy at every step."""
    _, velocity = env.unwrapped.state  # type: ignore[attr-defined]
    return 2 if velocity >= 0 else 0


def pendulum(env: gym.Env[Any, Any]) -> FloatArray:
    """Pump energy until the pole is nearly upright, then hold it there.

    Åström and Furuta, Swinging up a pendulum by energy control, Automatica 36 (2000).
    """
    world: Any = env.unwrapped
    angle, speed = world.state
    angle = (angle + np.pi) % (2 * np.pi) - np.pi
    # With m = l = 1 a rod has I = 1/3: energy above that of standing upright, in joules.
    energy = speed**2 / 6 + world.g / 2 * (np.cos(angle) - 1)
    hold = -10.0 * angle - 2.0 * speed
    pump = -3.0 * energy * (np.sign(speed) or 1.0)
    torque = hold if abs(angle) < 0.5 else pump
    return np.array([np.clip(torque, -world.max_torque, world.max_torque)], np.float32)


def reacher(env: gym.Env[Any, Any]) -> FloatArray:
    """Pull the fingertip to the target through the transposed Jacobian, damped.

    Craig, Introduction to robotics, 3rd ed., section 10.8.
    """
    world: Any = env.unwrapped
    shoulder, elbow = world.data.qpos[:2]
    spin: NDArray[np.float64] = world.data.qvel[:2]
    pull = world.get_body_com("target")[:2] - world.get_body_com("fingertip")[:2]
    near, far = LINKS
    first = near * np.array([-np.sin(shoulder), np.cos(shoulder)])
    second = far * np.array([-np.sin(shoulder + elbow), np.cos(shoulder + elbow)])
    jacobian = np.stack([first + second, second], axis=1)  # (2 coordinates, 2 joints)
    torque = STIFFNESS * jacobian.T @ pull - DAMPING * spin
    return np.asarray(np.clip(torque, -1, 1), np.float32)


def half_cheetah(env: gym.Env[Any, Any]) -> FloatArray:
    """Run with an open-loop gait: each motor's torque is a sine of the time."""
    time = env.unwrapped.data.time  # type: ignore[attr-defined]
    turn = 2 * np.pi * FREQUENCY * time
    swing, phase, rest = (np.array(GAIT[key]) for key in GAIT)
    return np.asarray(np.clip(rest + swing * np.sin(turn + phase), -1, 1), np.float32)
