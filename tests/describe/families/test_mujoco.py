from __future__ import annotations

import math
import re

import gymnasium as gym
import numpy as np
import pytest

from dragoman.describe import describe_env
from dragoman.testing import check_describer
from tests.describe.known_envs import assert_no_hidden_state, told

IDS = (
    "Ant-v5",
    "HalfCheetah-v5",
    "Hopper-v5",
    "InvertedPendulum-v5",
    "Pusher-v5",
    "Reacher-v5",
    "Swimmer-v5",
    "Walker2d-v5",
)


@pytest.mark.parametrize("env_id", IDS)
def test_texts_follow_from_the_observation_alone(env_id: str) -> None:
    assert_no_hidden_state(env_id, steps=20)
    env = gym.make(env_id)
    check_describer(describe_env(env), env, steps=20)
    env.close()


@pytest.mark.parametrize("env_id", IDS)
def test_a_change_of_any_number_changes_the_text(env_id: str) -> None:
    env = gym.make(env_id)
    observation, _ = env.reset(seed=0)
    describer = describe_env(env, precision=6)
    seen = {describer.observation(observation, {})}
    for i in range(len(observation)):
        changed = observation.copy()
        changed[i] += 0.3
        seen.add(describer.observation(changed, {}))
    # Of the ant's contacts, six numbers for each of 13 bodies, only the size of the force is said.
    count = 27 + 13 if env_id == "Ant-v5" else len(observation)
    assert len(seen) == 1 + count
    env.close()


GOLDEN = {
    "Reacher-v5": "The shoulder is at 1.6 degrees, turning at 0.025 degrees per second. The elbow "
    "is at -2.6 degrees, turning at 0.25 degrees per second. The target is 10 cm from the "
    "shoulder: 4.3 cm to the right and 9.2 cm above it. The fingertip is 19 cm away: 17 cm to the "
    "right and 9.1 cm below it.",
    "Hopper-v5": "The torso is 1.2 m high and leans 0.26 degrees backward. It moves forward at "
    "0.0011 m/s and up at 0.0023 m/s, pitching 0.025 degrees forward per second. The thigh is at "
    "-0.28 degrees, turning at 0.25 degrees per second. The leg is at 0.18 degrees, turning at "
    "0.18 degrees per second. The foot is at 0.24 degrees, turning at -0.28 degrees per second.",
    "InvertedPendulum-v5": "The pole leans 0.26 degrees to the left and falls 0.55 degrees to the "
    "left per second. The cart is 0.27 cm to the right of the centre and moves to the left at "
    "0.0092 m/s.",
    "Swimmer-v5": "The front link points 5.3 degrees to the right of straight ahead, turning at "
    "2.6 degrees per second. Its tip moves forward at 0.083 m/s and to the left at 0.021 m/s. The "
    "first joint is at -5.5 degrees, turning at 0.5 degrees per second. The second joint is at 3.6 "
    "degrees, turning at 5 degrees per second.",
}
BEGINNINGS = {
    "HalfCheetah-v5": "The torso is 4.6 cm below where it began and leans 5.3 degrees backward. It "
    "moves backward at 0.13 m/s and down at 0.062 m/s, pitching 0.24 degrees forward per second. "
    "The back thigh is at -5.5 degrees, turning at -13 degrees per second. The back shin is at ",
    "Walker2d-v5": "The torso is 1.2 m high and leans 0.26 degrees backward. It moves forward at "
    "0.0044 m/s and up at 0.0032 m/s, pitching 0.28 degrees backward per second. The right thigh ",
    "Pusher-v5": "The object is 68 cm from the fingertip: 56 cm backward, 26 cm to the left and 28 "
    "cm down. The goal is 35 cm from the object: 19 cm forward, 29 cm to the left and 4.8 cm down. "
    "The shoulder pan is at 0 degrees, turning at 0.18 degrees per second. The shoulder lift ",
    "Ant-v5": "The torso is 0.66 m high and leans 8.4 degrees forward and 6.8 degrees to the "
    "right. It faces 2.8 degrees to the left of straight ahead. It moves backward at 0.073 m/s, to "
    "the right at 0.054 m/s and down at 0.032 m/s. It rolls 2.4 degrees to the right, pitches 6 "
    "degrees forward and turns 0.74 degrees to the right per second. The front left hip is at ",
}


@pytest.mark.parametrize("env_id", IDS)
def test_golden_texts(env_id: str) -> None:
    if env_id in GOLDEN:
        assert told(env_id) == GOLDEN[env_id]
    else:
        assert told(env_id).startswith(BEGINNINGS[env_id])


def test_the_reachers_words_agree_with_the_simulation() -> None:
    env = gym.make("Reacher-v5")
    env.reset(seed=3)
    robot = env.unwrapped
    robot.set_state(np.array([1.0, -0.5, 0.05, -0.1]), np.array([0.2, -0.1, 0, 0]))
    text = describe_env(env, precision=4).observation(robot._get_obs(), {})
    assert "The shoulder is at 57.3 degrees, turning at 11.46 degrees per second." in text
    assert "The elbow is at -28.65 degrees, turning at -5.73 degrees per second." in text
    assert "5 cm to the right and 10 cm below it. The fingertip is" in text
    tip = robot.get_body_com("fingertip") - robot.get_body_com("target")
    result = re.search(
        r"fingertip is (\S+) cm away: (\S+) cm to the (\w+) and (\S+) cm (\w+)", text
    )
    assert float(result[1]) == pytest.approx(100 * np.hypot(*tip[:2]), rel=1e-3)
    assert float(result[2]) * (1 if result[3] == "right" else -1) == pytest.approx(
        100 * tip[0], rel=1e-3
    )
    assert float(result[4]) * (1 if result[5] == "above" else -1) == pytest.approx(
        100 * tip[1], rel=1e-3
    )


@pytest.mark.parametrize(("env_id", "pitch"), [("Hopper-v5", 2), ("HalfCheetah-v5", 2)])
def test_forward_leans_are_forward_in_the_simulation(env_id: str, pitch: int) -> None:
    env = gym.make(env_id)
    env.reset(seed=0)
    robot = env.unwrapped
    position = robot.init_qpos.copy()
    position[pitch] = 0.2
    robot.set_state(position, robot.init_qvel)
    up = robot.data.body("torso").xmat.reshape(3, 3)[:, 2]
    assert up[0] > 0  # towards positive x, which these robots are rewarded for
    text = describe_env(env, precision=3).observation(robot._get_obs(), {})
    assert "leans 11.5 degrees forward." in text


@pytest.mark.parametrize(
    ("axis", "words"),
    [
        ((0, 1, 0), "leans 17.2 degrees forward and 0 degrees. It faces 0 degrees of"),
        ((1, 0, 0), "leans 0 degrees and 17.2 degrees to the right. It faces 0 degrees of"),
        ((0, 0, 1), "leans 0 degrees and 0 degrees. It faces 17.2 degrees to the left of"),
    ],
)
def test_the_ants_torso_turns_as_in_the_simulation(axis: tuple, words: str) -> None:
    env = gym.make("Ant-v5")
    env.reset(seed=0)
    robot = env.unwrapped
    position = robot.init_qpos.copy()
    position[3:7] = [math.cos(0.15), *(math.sin(0.15) * np.array(axis))]
    robot.set_state(position, robot.init_qvel)
    turned = robot.data.body("torso").xmat.reshape(3, 3)
    up, ahead = turned[:, 2], turned[:, 0]
    assert (up[0] > 0.1) == ("forward" in words)
    assert (up[1] < -0.1) == ("to the right" in words)
    assert (ahead[1] > 0.1) == ("to the left" in words)
    text = describe_env(env, precision=3).observation(robot._get_obs(), {})
    assert words in text


def test_the_ant_feels_which_foot_stands() -> None:
    env = gym.make("Ant-v5")
    observation, _ = env.reset(seed=0)
    assert describe_env(env).observation(observation, {}).endswith("from outside: nothing.")
    assert env.unwrapped.model.body(4).name == ""  # MuJoCo has no name for the feet
    observation[27 + 6 * 3 : 27 + 6 * 4] = [0, 0, 0, 0, 0.6, 0.8]
    assert (
        describe_env(env)
        .observation(observation, {})
        .endswith("Pushed from outside: the front left foot with 1.")
    )


def test_settings_that_change_the_observation_fall_back_to_numbers() -> None:
    text = told("Hopper-v5", exclude_current_positions_from_observation=False)
    assert text.startswith("value 0 ")
    short = told("Ant-v5", include_cfrc_ext_in_observation=False)
    assert short.startswith("The torso is 0.66 m high")
    assert "Pushed" not in short
