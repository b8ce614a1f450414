from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from dragoman.describe import describe_env, rollout
from dragoman.errors import ConfigError, SpaceError
from dragoman.testing import check_describer
from tests.describe.known_envs import assert_no_hidden_state, told

IDS = ("FrozenLake-v1", "FrozenLake8x8-v1", "CliffWalking-v1", "Taxi-v4", "Blackjack-v1")

GOLDEN = {
    "FrozenLake-v1": "You stand on a frozen lake at row 0, column 0 of 4x4. Next to you: left: the "
    "edge, down: ice, right: ice, up: the edge. The goal is 3 rows down and 3 columns right. The "
    "ice is slippery.",
    "CliffWalking-v1": "You stand at row 3, column 0 of 4x12. Next to you: left: the edge, down: "
    "the edge, right: the cliff, up: ground. The goal is 11 columns right.",
    "Taxi-v4": "You drive a taxi at row 3, column 0 of a 5x5 city. The passenger waits at the blue "
    "stop (row 4, column 3). Destination: the yellow stop (row 4, column 0). Roads lead south, "
    "north.",
    "Blackjack-v1": "Your cards sum to 11, with no ace that counts 11. The dealer shows a card of "
    "10.",
}

ACTIONS = {
    "FrozenLake-v1": ["move left", "move down", "move right", "move up"],
    "CliffWalking-v1": ["move up", "move right", "move down", "move left"],
    "Taxi-v4": [
        "move south (down)",
        "move north (up)",
        "move east (right)",
        "move west (left)",
        "pickup passenger",
        "drop off passenger",
    ],
    "Blackjack-v1": ["stick", "hit"],
}


@pytest.mark.parametrize("env_id", GOLDEN)
def test_golden_texts(env_id: str) -> None:
    assert told(env_id) == GOLDEN[env_id]
    env = gym.make(env_id)
    describer = describe_env(env)
    assert [describer.action(action) for action in range(env.action_space.n)] == ACTIONS[env_id]


@pytest.mark.parametrize("env_id", IDS)
def test_texts_follow_from_the_observation_and_tell_all_apart(env_id: str) -> None:
    assert_no_hidden_state(env_id)
    env = gym.make(env_id)
    describer = describe_env(env)
    check_describer(describer, env)
    if isinstance(env.observation_space, spaces.Discrete):
        states = range(env.observation_space.n)
    else:
        states = list(np.ndindex(*(space.n for space in env.observation_space.spaces)))
    assert len({describer.observation(state, {}) for state in states}) == len(states)


def test_the_lake_is_as_its_map() -> None:
    lake = {"desc": ["SFF", "HFG", "FFF"], "is_slippery": False}
    assert told("FrozenLake-v1", 4, **lake) == (
        "You stand on a frozen lake at row 1, column 1 of 3x3. Next to you: left: a hole, down: "
        "ice, right: the goal, up: ice. The goal is 1 column right. The ice is not slippery."
    )
    assert told("FrozenLake-v1", 3, **lake).startswith("You stand on a hole in a frozen lake at")
    assert "The goal is here." in told("FrozenLake-v1", 5, **lake)
    assert "The goal is 1 row up." in told("FrozenLake-v1", 8, **lake)


def test_nothing_is_said_of_a_map_that_every_copy_draws_for_itself() -> None:
    for settings in ({"map_name": None}, {"map_name": None, "desc": None}):
        text = told("FrozenLake-v1", 17, **settings)
        assert text == "You stand on a frozen lake at row 2, column 1 of 8x8."
    known = told("FrozenLake-v1", 1, map_name=None, desc=["SF", "FG"])
    assert "down: the goal" in known


def test_a_template_gets_the_bare_square_back() -> None:
    env = gym.make("FrozenLake-v1", map_name="8x8")
    bare = "row {row}, column {column} of {rows} rows and {columns} columns"
    describer = describe_env(env, observation=bare)
    assert describer.observation(17, {}) == "row 2, column 1 of 8 rows and 8 columns"
    with pytest.raises(ConfigError, match=r"'rwo' \(did you mean 'ro"):
        describe_env(env, observation="{rwo}")


def test_the_cliff_is_beside_its_squares() -> None:
    said = told("CliffWalking-v1", 30)
    assert "left: ground, down: the cliff, right: ground, up: ground" in said
    assert "The goal is 1 row down and 5 columns right." in said
    assert told("CliffWalkingSlippery-v1", 30) == f"{said} The ground is slippery."


def test_the_taxi_is_told_the_roads_that_its_mask_allows() -> None:
    env = gym.make("Taxi-v4").unwrapped
    for state in range(0, 500, 7):
        roads = told("Taxi-v4", state).rpartition("Roads lead ")[2].rstrip(".").split(", ")
        names = ("south", "north", "east", "west")
        allowed = [name for name, one in zip(names, env.action_mask(state), strict=False) if one]
        assert roads == allowed
    inside = env.encode(0, 4, 4, 0)
    assert "The passenger sits in the taxi. Destination: the red stop (row 0, column 0)." in told(
        "Taxi-v4", inside
    )


def test_only_what_the_taxis_mask_allows_is_offered() -> None:
    env = gym.make("Taxi-v4")
    describer = describe_env(env)
    _, info = env.reset(seed=0)
    assert describer.actions(info) == ["move south (down)", "move north (up)", "", "", "", ""]
    assert describer.actions({}) == ACTIONS["Taxi-v4"]
    with pytest.raises(SpaceError, match="has no list of actions"):
        describe_env(gym.make("Pendulum-v1")).actions({})
    # The mask leaves out moves into walls, so that every move of the rollout leads on.
    lines = list(rollout(env, describer, steps=30))
    places = [line.split(" of a")[0].split(" ", 1)[1] for line in lines if "taxi at" in line]
    moves = [line for line in lines if "> " in line]
    for move, before, after in zip(moves, places, places[1:], strict=False):
        assert ("move" in move) == (before != after)


def test_blackjack_knows_an_ace() -> None:
    assert told("Blackjack-v1", (19, 1, 1)) == (
        "Your cards sum to 19, with an ace that counts 11. The dealer shows an ace."
    )
