from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from dragoman.errors import SpaceError
from dragoman.programs import Schema, sample_transitions, schema_of


def test_cart_pole() -> None:
    schema = schema_of(gym.make("CartPole-v1"))
    assert schema.text() == (
        "state and next_state map these names to numbers:\n"
        "  'cart_position': from -4.8 up to 4.8\n"
        "  'cart_velocity': number\n"
        "  'pole_angle': radians, from -0.418879 up to 0.418879, positive means right\n"
        "  'pole_angular_velocity': number\n"
        "action is a number:\n"
        "  0: push cart to the left\n"
        "  1: push cart to the right"
    )
    assert schema.text(acts=False).splitlines() == [
        "state maps these names to numbers:",
        *schema.text().splitlines()[1:5],
    ]


def test_whole_states_are_explained() -> None:
    schema = schema_of(gym.make("FrozenLake-v1"))
    whole = "'value': whole number, from 0 up to 15, 0 means You stand on a frozen lake"
    assert whole in schema.text()
    assert schema.read_state(np.int64(7)) == [7.0]


def test_continuous_actions_are_named() -> None:
    schema = schema_of(gym.make("Pendulum-v1"))
    assert schema.action_names == ("torque",)
    assert "'torque': from -2 up to 2" in schema.text()
    assert schema.choices == ()


class Parts(gym.Env):
    observation_space = gym.spaces.Dict(
        a=gym.spaces.Box(-1, 1, (2,)),
        b=gym.spaces.Tuple([gym.spaces.Discrete(3, start=1), gym.spaces.MultiBinary(2)]),
        c=gym.spaces.MultiDiscrete([2, 5]),
    )
    action_space = gym.spaces.MultiDiscrete([3, 2])


def test_parts_are_read_in_the_order_of_their_names() -> None:
    env = Parts()
    schema = schema_of(env)
    value = {
        "a": np.array([0.5, -0.5], np.float32),
        "b": (np.int64(2), np.array([1, 0], np.int8)),
        "c": np.array([1, 4]),
    }
    assert value in env.observation_space
    read = schema.read_state(value)
    assert dict(zip(schema.state_names, read, strict=True)) == {
        "a_0": 0.5,
        "a_1": -0.5,
        "part_0": 2.0,
        "part_1_0": 1.0,
        "part_1_1": 0.0,
        "c_0": 1.0,
        "c_1": 4.0,
    }
    # Everything that a translated program touches is a float.
    assert {type(item) for item in read} == {float}
    assert [item.high for item in schema.action] == [2.0, 1.0]


@pytest.mark.parametrize(
    ("space", "problem"),
    [
        (gym.spaces.Box(0, 255, (64, 64, 3), np.uint8), "12,288 numbers, too many"),
        (gym.spaces.Text(9), "not made of numbers"),
    ],
)
def test_other_spaces_are_refused(space: gym.Space, problem: str) -> None:
    env = Parts()
    env.observation_space = space
    with pytest.raises(SpaceError, match=problem):
        schema_of(env)


def test_equal_names_are_told_apart() -> None:
    env = Parts()
    env.observation_space = gym.spaces.Dict(
        x=gym.spaces.Tuple([gym.spaces.Discrete(2)]), y=gym.spaces.Tuple([gym.spaces.Discrete(2)])
    )
    assert schema_of(env).state_names == ("part_0", "part_0_2")


def test_transitions_reach_beyond_the_visited_states_but_not_beyond_the_bounds() -> None:
    env = gym.make("CartPole-v1")
    schema = schema_of(env)
    result = sample_transitions(env, schema, steps=50, seed=3)
    visited, around = np.split(result.states, 2)
    assert visited.shape == around.shape == (50, 4)
    assert (around.std(axis=0) > 2 * visited.std(axis=0))[:2].all()
    assert np.abs(result.states[:, 2]).max() <= 0.41888
    assert set(result.actions[:, 0]) == {0.0, 1.0}
    np.testing.assert_array_equal(result.states[1], result.next_states[0])
    again = sample_transitions(env, schema, steps=50, seed=3)
    np.testing.assert_array_equal(result.next_states, again.next_states)


def test_rows_are_the_arguments_of_a_function() -> None:
    env = gym.make("Pendulum-v1")
    result = sample_transitions(env, schema_of(env), steps=2)
    state, action, next_state = result.rows("reward")[0]
    assert (len(state), len(action), len(next_state)) == (3, 1, 3)
    assert result.rows("potential")[0] == (state,)


def test_a_schema_of_ones_own() -> None:
    schema = Schema((), read_state=lambda value: [float(len(value))])
    assert schema.read_state("abc") == [3.0]
