"""A robot whose environments are each wrong in one respect."""

import random
import warnings

import gymnasium as gym
import numpy as np
import torch


class Robot(gym.Env):
    observation_space = gym.spaces.Dict(
        battery=gym.spaces.Box(0, 10, (1,), np.int64), place=gym.spaces.Discrete(3)
    )
    action_space = gym.spaces.Discrete(2)
    steps = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.seen(), {}

    def step(self, action):
        self.steps += 1
        return self.seen(), 1.0, self.steps >= 5, False, {}

    def seen(self, **other):
        kind = self.observation_space["battery"].dtype
        seen = {"battery": np.array([10 - self.steps], kind), "place": 1}
        return seen | other if self.steps == 2 else seen


class NoBattery(Robot):
    def step(self, action):
        seen, *rest = super().step(action)
        if self.steps == 2:
            del seen["battery"]
        return seen, *rest


class NanBattery(Robot):
    observation_space = gym.spaces.Dict(
        battery=gym.spaces.Box(0, 10, (1,)), place=gym.spaces.Discrete(3)
    )

    def step(self, action):
        _, *rest = super().step(action)
        return self.seen(battery=np.float32([np.nan])), *rest


class HalfBattery(Robot):
    def step(self, action):
        _, *rest = super().step(action)
        return self.seen(battery=np.array([0.5])), *rest


class TextBattery(Robot):
    def reset(self, *, seed=None, options=None):
        seen, info = super().reset(seed=seed)
        return seen | {"battery": "full"}, info


class WideBattery(Robot):
    def step(self, action):
        _, *rest = super().step(action)
        return self.seen(battery=np.array([1, 2])), *rest


class LostPlace(Robot):
    def step(self, action):
        _, *rest = super().step(action)
        return self.seen(place=7), *rest


class EmptyBattery(Robot):
    def step(self, action):
        _, *rest = super().step(action)
        return self.seen(battery=np.array([-3])), *rest


class NanSpeed(Robot):
    """A robot in two numbers.

    ## Observation Space
    | Num | Observation | Unit |
    |-----|-------------|------|
    | 0   | battery     | %    |
    | 1   | wheel speed | m/s  |
    """

    observation_space = gym.spaces.Box(0, 100, (2,))

    def seen(self, **other):
        return np.float32([50, np.nan if self.steps == 2 else 1])

    def step(self, action):
        return super().step(action)


class TextReward(Robot):
    def step(self, action):
        seen, _, *rest = super().step(action)
        return seen, "much", *rest


class EndsPerhaps(Robot):
    def step(self, action):
        return self.seen(), 1.0, "perhaps", False, {}


class ListInfo(Robot):
    def step(self, action):
        return self.seen(), 1.0, False, False, ["x"]


class Breaks(Robot):
    def step(self, action):
        return 1 / 0


class Endless(Robot):
    is_closed = False

    def step(self, action):
        self.steps += 1
        return {"battery": np.array([1]), "place": 1}, 1.0, False, False, {}

    def close(self):
        self.is_closed = True


class Gambler(Robot):
    def step(self, action):
        random.random()
        np.random.random()  # noqa: NPY002
        torch.rand(1)
        return super().step(action)


class Warns(Robot):
    def step(self, action):
        warnings.warn("the wheels are old", UserWarning, stacklevel=2)
        return super().step(action)


class Mute:
    """A describer that has nothing to say of the second step."""

    def observation(self, observation, info):
        return {10: "full", 9: "fine"}.get(int(observation["battery"][0])) or info["voice"]

    def action(self, action):
        return f"go {action}"
