from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from dragoman.environments.fits import LARGEST, fitting, misfits, not_finite
from dragoman.environments.guard import Faults
from dragoman.environments.vector import make_vector
from dragoman.errors import SpaceError

F4, F8, I8 = np.float32, np.float64, np.int64
MIXED = spaces.Dict(
    at=spaces.Box(-1, 1, (2,)),
    picture=spaces.Box(0, 255, (2, 2), np.uint8),
    door=spaces.Tuple([spaces.Discrete(2), spaces.MultiBinary(2)]),
)
RIGHT: list[tuple[gym.Space[Any], Any]] = [
    (spaces.Box(-1, 1, (2,)), F4([1, -1])),
    (spaces.Box(-1, 1, (2,)), F8([1 + 1e-7, 0])),
    (spaces.Box(-np.inf, np.inf, (2,)), F4([LARGEST, -LARGEST])),
    (spaces.Box(-np.inf, np.inf, (2, 2), np.float16), np.ones((2, 2), np.float16)),
    (spaces.Box(-3, 3, (2,), I8), I8([3, -3])),
    (spaces.Box(0, 255, (9, 9, 3), np.uint8), np.full((9, 9, 3), 255, np.uint8)),
    (spaces.Box(0, 1, (9, 9)), np.ones((9, 9), F4)),
    (spaces.Box(0, 1, (0,)), np.zeros(0, F4)),
    (spaces.Discrete(3, start=-1), 1),
    (spaces.Discrete(3, start=-1), I8(-1)),
    (spaces.MultiDiscrete([2, 3]), I8([1, 2])),
    (spaces.Text(4), "abc"),
    (MIXED, MIXED.sample()),
]
WRONG: list[tuple[gym.Space[Any], Any]] = [
    (spaces.Box(-1, 1, (2,)), F4([1.001, 0])),
    (spaces.Box(-1, 1, (2,)), F4([0, np.nan])),
    (spaces.Box(-1, 1, (2,)), F4([0])),
    (spaces.Box(-1, 1, (2,)), "left"),
    (spaces.Box(-np.inf, np.inf, (2,)), F4([np.inf, 0])),
    (spaces.Box(-np.inf, np.inf, (2,), F8), F8([1e39, 0])),
    (spaces.Box(-np.inf, np.inf, (2, 2), np.float16), np.full((2, 2), np.inf, np.float16)),
    (spaces.Box(-np.inf, np.inf, (9, 9)), np.full((9, 9), np.nan, F4)),
    (spaces.Box(-3, 3, (2,), I8), F8([0.5, 0])),
    (spaces.Box(-3, 3, (2, 2), I8), np.full((2, 2), 4)),
    (spaces.Box(0, 255, (2,), np.uint8), I8([0, 256])),
    (spaces.Discrete(3, start=-1), 2),
    (spaces.Discrete(3), 1.0),
    (spaces.MultiDiscrete([2, 3]), I8([1, 3])),
    (spaces.Text(4), "abcde"),
    (spaces.Text(4), "-"),
    (spaces.Tuple([spaces.Discrete(2)]), (2,)),
    (MIXED, {**MIXED.sample(), "more": 1}),
    (MIXED, {**MIXED.sample(), "at": F4([0, 2])}),
]


@pytest.mark.parametrize(("space", "value"), RIGHT)
def test_what_is_right_passes_at_once(space: gym.Space[Any], value: Any) -> None:
    assert fitting(space)(value)
    assert not list(misfits(space, value))


@pytest.mark.parametrize(("space", "value"), WRONG)
def test_what_is_wrong_never_does(space: gym.Space[Any], value: Any) -> None:
    assert not fitting(space)(value)
    said = [*misfits(space, value), not_finite(value, "it")]
    assert any(said) or isinstance(space, spaces.Text)


class Rooms(gym.Env[Any, Any]):
    """Hands over what is no room, in its third step."""

    action_space = spaces.Discrete(2)

    def __init__(self, space: gym.Space[Any], wrong: Any) -> None:
        self.observation_space, self.wrong, self.steps = space, wrong, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.observation_space.seed(0)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        seen = self.wrong if self.steps == 3 else self.observation_space.sample()
        return seen, 0.0, False, False, {}


@pytest.mark.parametrize(
    ("space", "value", "said"),
    [
        (spaces.Discrete(3), 7, "the observation is 7, which does not lie in Discrete(3)"),
        (spaces.Tuple([spaces.Discrete(2)]), (0, 1), "but its space has 1 parts"),
        (MIXED, {"at": F4([0, 0])}, "has the keys ['at'], but its space has ['at', 'door', "),
        (spaces.Box(0, 9, (1,), I8), F4([0.5]), "[0] is 0.5, and int64 numbers are whole"),
    ],
)
def test_every_step_is_held_against_its_space(space: gym.Space[Any], value: Any, said: str) -> None:
    spec = gym.envs.registration.EnvSpec(
        "Rooms-v0", entry_point=lambda: Rooms(space, value), disable_env_checker=True
    )
    envs = make_vector(spec, 1, faults=Faults())
    envs.reset(seed=0)
    for _ in range(2):
        envs.step(np.array([0]))
    with pytest.raises(SpaceError) as error:
        envs.step(np.array([0]))
    assert said in error.value.problem
    assert "sub-environment 0, episode 1, step 3" in error.value.problem
