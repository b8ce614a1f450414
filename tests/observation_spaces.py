"""Observation spaces of every kind, for tests that walk them; a kind more is a line more."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class Sayings(spaces.Space):
    """A space of somebody's own that holds texts, as MiniGrid's missions do."""

    def __init__(self) -> None:
        super().__init__((), str)

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        return str(self.np_random.choice(["go home", "open the red door"]))

    def contains(self, x: Any) -> bool:
        return isinstance(x, str)


class Pairs(spaces.Space):
    """A space of somebody's own that holds two numbers."""

    def __init__(self) -> None:
        super().__init__((2,), np.float32)

    def sample(self, mask: Any = None, probability: Any = None) -> np.ndarray:
        return self.np_random.random(2, np.float32)

    def contains(self, x: Any) -> bool:
        return np.shape(x) == (2,)


class Things(spaces.Space):
    """A space of somebody's own that holds what nobody can read."""

    def __init__(self) -> None:
        super().__init__(None, None)

    def sample(self, mask: Any = None, probability: Any = None) -> object:
        return object()

    def contains(self, x: Any) -> bool:
        return True


BOX = spaces.Box(-1, 1, (2,), np.float32)
CODES = spaces.Box(0, 255, (7, 7, 3), np.uint8)
PICTURE = spaces.Box(0, 255, (40, 36, 3), np.uint8)

READABLE: dict[str, spaces.Space] = {
    "numbers": BOX,
    "one number": spaces.Box(0, 1, (), np.float32),
    "whole numbers": spaces.Box(-5, 5, (3,), np.int32),
    "a matrix": spaces.Box(-np.inf, np.inf, (3, 2), np.float64),
    "codes": CODES,
    "a picture": PICTURE,
    "choice": spaces.Discrete(4),
    "choice from 1": spaces.Discrete(3, start=1),
    "choice from -2": spaces.Discrete(3, start=-2),
    "choices": spaces.MultiDiscrete([3, 4]),
    "choices from 1": spaces.MultiDiscrete([3, 4], start=[1, 2]),
    "choices in rows": spaces.MultiDiscrete([[3, 4], [5, 6]]),
    "bits": spaces.MultiBinary(5),
    "bits in rows": spaces.MultiBinary((2, 3)),
    "text": spaces.Text(12),
    "own text": Sayings(),
    "own numbers": Pairs(),
    "tuple": spaces.Tuple([spaces.Discrete(3), BOX]),
    "tuple with a picture and text": spaces.Tuple([PICTURE, spaces.Text(3)]),
    "dict": spaces.Dict(a=BOX, b=spaces.Discrete(3)),
    "dict with a start": spaces.Dict(a=BOX, b=spaces.Discrete(3, start=1)),
    "dict with bits in rows": spaces.Dict(a=BOX, b=spaces.MultiBinary((2, 2))),
    "dict with a number": spaces.Dict(a=spaces.Box(0, 1, ()), b=BOX),
    "dict with a text": spaces.Dict(a=BOX, b=spaces.Text(5)),
    "dict with own text": spaces.Dict(image=CODES, direction=spaces.Discrete(4), mission=Sayings()),
    "dict with codes": spaces.Dict(image=CODES, direction=spaces.Discrete(4)),
    "dict with a picture": spaces.Dict(image=PICTURE, b=BOX),
    "dict with a picture and text": spaces.Dict(image=PICTURE, b=BOX, mission=spaces.Text(4)),
    "dict of odd names": spaces.Dict({"type": BOX, "a.b": BOX, "keys": spaces.Discrete(2)}),
    "text in a dict in a dict": spaces.Dict(a=spaces.Dict(b=BOX, c=spaces.Text(3))),
    "dict with a thing": spaces.Dict(a=BOX, b=Things()),
    "sequence": spaces.Sequence(spaces.Discrete(3)),
    "stacked sequence": spaces.Sequence(BOX, stack=True),
    "sequence of dicts": spaces.Sequence(spaces.Dict(a=BOX, b=spaces.Text(3))),
    "graph": spaces.Graph(BOX, spaces.Discrete(3)),
    "graph without labels": spaces.Graph(spaces.Discrete(3), None),
    "one of": spaces.OneOf([spaces.Discrete(2), BOX, spaces.Text(3)]),
}
"""What can be described and what a policy can read, with a model and without."""

UNREADABLE: dict[str, spaces.Space] = {
    "a thing": Things(),
    "dict of things": spaces.Dict(a=Things()),
    "tuple of things": spaces.Tuple([Things(), spaces.Dict(b=Things())]),
}


class Sampled(gym.Env):
    """Observes samples of a space, in episodes of three steps; names stand in `READABLE`."""

    def __init__(self, name: str, continuous: bool = False) -> None:
        self.observation_space = {**READABLE, **UNREADABLE}[name]
        self.action_space = (
            spaces.Box(-1, 1, (1,), np.float32) if continuous else spaces.Discrete(3)
        )
        self.count = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.count = 0
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        self.count += 1
        return self.observation_space.sample(), 1.0, False, self.count == 3, {}
