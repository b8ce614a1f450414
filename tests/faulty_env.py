"""An environment that hands over one wrong thing, and a list of such things."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from dragoman.environments.fits import LARGEST

SPACE = gym.spaces.Dict(
    position=gym.spaces.Box(-np.inf, np.inf, (2,), np.float32),
    depth=gym.spaces.Box(-np.inf, np.inf, (9, 9), np.float64),
    door=gym.spaces.Discrete(2),
)
Step = dict[str, Any]


def observed(key: str, place: tuple[int, ...], value: float) -> Callable[[Step], Step]:
    def change(step: Step) -> Step:
        step["observation"][key][place] = value
        return step

    return change


def returned(**what: Any) -> Callable[[Step], Step]:
    return lambda step: step | what


WRONG: dict[str, tuple[Callable[[Step], Step], str]] = {
    # What an environment does, and what is said of it. Add a line for another fault.
    "observation nan": (observed("position", (1,), np.nan), "['position'][1] is nan"),
    "observation inf": (observed("position", (0,), np.inf), "['position'][0] is inf"),
    "observation matrix": (observed("depth", (8, 0), -np.inf), "['depth'][8, 0] is -inf"),
    "observation float32": (observed("depth", (0, 1), 1e39), "['depth'][0, 1] is 1e+39"),
    "reward nan": (returned(reward=float("nan")), "the reward is nan"),
    "reward inf": (returned(reward=-np.inf), "the reward is -inf"),
    "reward numpy nan": (returned(reward=np.float32("nan")), "the reward is nan"),
    "reward beyond float32": (returned(reward=1e39), "the reward is 1e+39"),
    "reward huge integer": (returned(reward=10**400), "which is no number"),
    "reward two objectives": (returned(reward=np.ones(2)), "has shape (2,)"),
    "reward no objective": (returned(reward=[]), "has shape (0,)"),
    "reward matrix": (returned(reward=np.ones((2, 2))), "has shape (2, 2)"),
    "reward ragged": (returned(reward=[[1.0], [1.0, 2.0]]), "which is no number"),
    "reward array of nan": (returned(reward=np.array([np.nan])), "the reward is nan"),
    "reward text": (returned(reward="1.0"), "the reward is '1.0', which is no number"),
    "reward none": (returned(reward=None), "the reward is None, which is no number"),
    "reward complex": (returned(reward=1 + 2j), "which is no number"),
    "terminated text": (returned(terminated="False"), "terminated is 'False', which is neither"),
    "terminated none": (returned(terminated=None), "terminated is None, which is neither"),
    "terminated nan": (returned(terminated=float("nan")), "terminated is nan, which is neither"),
    "terminated array": (returned(terminated=np.array([True, False])), "which is neither"),
    "truncated number": (returned(truncated=3), "truncated is 3, which is neither"),
    "info none": (returned(info=None), "info is None, which is no mapping"),
    "info list": (returned(info=[]), "info is [], which is no mapping"),
    "info key": (returned(info={1: 2}), "a key of info is 1, which is no text"),
}

RIGHT: dict[str, Callable[[Step], Step]] = {
    # Unusual, and taken: each is worth 1 and ends nothing.
    "reward integer": returned(reward=1),
    "reward truth": returned(reward=True),
    "reward numpy": returned(reward=np.float32(1)),
    "reward of no axis": returned(reward=np.array(1.0)),
    "reward of one element": returned(reward=np.array([1.0])),
    "reward list of one": returned(reward=[1]),
    "flags of numpy": returned(terminated=np.bool_(False), truncated=np.bool_(False)),
    "flags as numbers": returned(terminated=0, truncated=0.0),
    "flags in arrays": returned(terminated=np.array([False]), truncated=np.array(False)),
    "large observation": observed("depth", (0, 0), LARGEST),
    "large observations": observed("position", (slice(None),), LARGEST),
}


class Faulty(gym.Env[Any, Any]):
    """Hands over something wrong, or unusual, in one step.

    Args:
        what: Key of `WRONG` or `RIGHT`.
        at: In which step; 0 is the reset.
        episode: In which episode, counted from 1.
    """

    observation_space = SPACE
    action_space = gym.spaces.Discrete(2)

    def __init__(self, what: str, at: int = 3, episode: int = 2) -> None:
        self.change = RIGHT[what] if what in RIGHT else WRONG[what][0]
        self.when = (episode, at)
        self.episode = 0
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.episode += 1
        self.steps = 0
        made = self.made()
        return made["observation"], made["info"]

    def step(self, action: Any) -> Any:
        self.steps += 1
        return tuple(self.made().values())

    def made(self) -> Step:
        step = {
            "observation": {
                "position": np.zeros(2, np.float32),
                "depth": np.zeros((9, 9)),
                "door": 0,
            },
            "reward": 1.0,
            "terminated": False,
            "truncated": self.steps >= 5,
            "info": {},
        }
        return self.change(step) if (self.episode, self.steps) == self.when else step
