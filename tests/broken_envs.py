"""Environments that are each wrong in one respect, for tests of what a user is then told."""

import gymnasium as gym
import numpy as np


class Base(gym.Env):
    observation_space = gym.spaces.Box(-1, 1, (2,))
    action_space = gym.spaces.Discrete(2)

    def __init__(self):
        self.n = 0

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.n = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.n += 1
        return np.zeros(2, np.float32), 1.0, self.n > 4, False, {}


class NoSpaces(gym.Env):
    def reset(self, seed=None, options=None):
        return 0, {}

    def step(self, a):
        return 0, 0.0, True, False, {}


class NeedsArgs(Base):
    def __init__(self, size):
        super().__init__()
        self.size = size


class RaisesInInit(Base):
    def __init__(self):
        raise RuntimeError("no licence")


class RaisesInReset(Base):
    def reset(self, seed=None, options=None):
        raise KeyError("battery")


class RaisesInStep(Base):
    def step(self, a):
        raise ZeroDivisionError("division by zero")


class WrongShape(Base):
    def reset(self, seed=None, options=None):
        return np.zeros(3, np.float32), {}


class TextReward(Base):
    def step(self, a):
        return np.zeros(2, np.float32), "one", False, False, {}


class NoneObservation(Base):
    def step(self, a):
        return None, 1.0, False, False, {}


class FourTuple(Base):
    def step(self, a):
        return np.zeros(2, np.float32), 1.0, True, {}


class InfoList(Base):
    def reset(self, seed=None, options=None):
        return np.zeros(2, np.float32), []


class NanReward(Base):
    def step(self, a):
        return np.zeros(2, np.float32), float("nan"), self.n > 4, False, {}


class ResetOne(Base):
    def reset(self, seed=None, options=None):
        return np.zeros(2, np.float32)


class TupleActions(Base):
    action_space = gym.spaces.Tuple((gym.spaces.Discrete(2), gym.spaces.Discrete(2)))


class GraphObs(Base):
    observation_space = gym.spaces.Graph(gym.spaces.Box(-1, 1, (2,)), None)


class NotEnv:
    pass


def function():
    return 3
