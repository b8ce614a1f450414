"""Environments that speak as those of Gym did, each in one respect."""

from __future__ import annotations

import gymnasium as gym


class Base(gym.Env):
    observation_space = gym.spaces.Discrete(3)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        return 1, 0.0, False, False, {}


class FourValues(Base):
    def step(self, action):
        return 1, 0.0, False, {}


class NoTuple(Base):
    def step(self, action):
        return None


class NoSeed(Base):
    def reset(self):
        return 0, {}


class NoOptions(Base):
    def reset(self, seed=None):
        return 0, {}


class NoInfo(Base):
    def reset(self, *, seed=None, options=None):
        return 0


class ThreeValues(Base):
    def reset(self, *, seed=None, options=None):
        return 0, {}, False


class TakesAnything(Base):
    def reset(self, **given):
        return 0, {}


class NoEnvironment:
    def reset(self):
        return 0
