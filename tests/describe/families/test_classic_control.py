from __future__ import annotations

import math

import gymnasium as gym
import numpy as np
import pytest

from dragoman.describe import describe_env
from dragoman.errors import SpaceError
from dragoman.testing import check_describer
from tests.describe.known_envs import assert_no_hidden_state, told

IDS = ("Pendulum-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Acrobot-v1")

GOLDEN = {
    "Pendulum-v1": "The pole points 49 degrees away from upright on the left side and rotates "
    "clockwise at 0.46 rad/s.",
    "MountainCar-v0": "The car is 0.051 m right of the bottom of the valley and stands still. "
    "The flag is 0.97 m to the right. The wall is 0.73 m to the left.",
    "MountainCarContinuous-v0": "The car is 0.051 m right of the bottom of the valley and stands "
    "still. The flag is 0.92 m to the right. The wall is 0.73 m to the left.",
    "Acrobot-v1": "The upper link points 1.6 degrees away from straight down on the right side and "
    "rotates clockwise at 0.092 rad/s. The lower link is bent 2.6 degrees clockwise from the upper "
    "one and rotates clockwise at 0.097 rad/s against it. The tip is 2 m below the hinge and has "
    "to rise 3 m.",
}


@pytest.mark.parametrize("env_id", IDS)
def test_golden_texts(env_id: str) -> None:
    assert told(env_id) == GOLDEN[env_id]


@pytest.mark.parametrize("env_id", IDS)
def test_texts_follow_from_the_observation_alone(env_id: str) -> None:
    assert_no_hidden_state(env_id)
    env = gym.make(env_id)
    check_describer(describe_env(env), env)


@pytest.mark.parametrize(
    ("angle", "velocity", "text"),
    [
        (63, 1.7, "63 degrees away from upright on the left side and rotates counter-clockwise at"),
        (-148, -7.2, "150 degrees away from upright on the right side and rotates clockwise at"),
        (0, 0, "0 degrees away from upright and does not rotate."),
    ],
)
def test_pendulum(angle: float, velocity: float, text: str) -> None:
    radians = math.radians(angle)
    said = told("Pendulum-v1", [math.cos(radians), math.sin(radians), velocity])
    assert said.startswith(f"The pole points {text}")


def test_limits_are_said_where_asked_for() -> None:
    for env_id, limits in (("Pendulum-v1", ["8"]), ("Acrobot-v1", ["12.6", "28.3"])):
        env = gym.make(env_id)
        text = describe_env(env).observation(*env.reset(seed=0))
        assert [f"(limit {limit})" in text for limit in limits] == [True] * len(limits)


def test_the_mountain_car_is_told_from_where_the_valley_is_lowest() -> None:
    env = gym.make("MountainCar-v0").unwrapped
    positions = np.linspace(env.min_position, env.max_position, 2001)
    lowest = positions[np.argmin(env._height(positions))]
    at = told("MountainCar-v0", [lowest, -0.02])
    assert float(at.split()[3]) < 1e-3
    assert "moves to the left at 0.02 m a step" in at
    assert f"The flag is {env.goal_position - lowest:.2g} m to the right." in at
    assert "0.48 m left of the bottom" in told("MountainCar-v0", [-1.0, 0.0])


@pytest.mark.parametrize("angles", [(0.3, 0.4), (-2.0, 1.0), (3.0, 0.0)])
def test_the_acrobots_tip_is_where_its_links_put_it(angles: tuple[float, float]) -> None:
    one, two = angles
    text = told("Acrobot-v1", [math.cos(one), math.sin(one), math.cos(two), math.sin(two), 1, -2])
    env = gym.make("Acrobot-v1").unwrapped
    env.state = np.array([one, two, 0, 0])
    words = text.rpartition("The tip is ")[2].split()
    height = float(words[0]) * (1 if words[2] == "above" else -1)
    rise = float(words[-2])
    # The task ends when the tip is more than one link above the hinge.
    assert (rise == 0) == bool(env._terminal())
    expected = -math.cos(one) - math.cos(one + two)
    assert height == pytest.approx(expected, abs=0.06)
    assert "on the right side" in text if one > 0 else "on the left side" in text
    assert "rotates clockwise at 2 rad/s against it" in text


def test_what_is_no_observation_is_named() -> None:
    describer = describe_env(gym.make("Pendulum-v1"))
    with pytest.raises(SpaceError, match=r"angular velocity is 9\.0, outside its bounds -8 to 8\n"):
        describer.observation(np.array([1, 0, 9], np.float32), {})


def test_a_template_still_has_the_numbers() -> None:
    env = gym.make("Pendulum-v1")
    describer = describe_env(
        env, precision=2, limits=False, observation="{observation} Speed: {angular_velocity}."
    )
    assert describer.observation(*env.reset(seed=0)) == GOLDEN["Pendulum-v1"] + " Speed: -0.46."


def test_a_class_of_the_same_name_is_not_taken_for_another() -> None:
    class PendulumEnv(gym.Env):
        """Another pendulum.

        | Num | Observation |
        |-----|-------------|
        | 0   | angle       |
        | 1   | velocity    |
        | 2   | length      |
        """

        observation_space = gym.spaces.Box(-9, 9, (3,))
        action_space = gym.spaces.Discrete(2)

    text = describe_env(PendulumEnv(), limits=False).observation(np.zeros(3, np.float32), {})
    assert text == "angle 0, velocity 0, length 0"
