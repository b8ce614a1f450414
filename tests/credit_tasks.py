"""Toys for credit by groups: a corridor whose start the seed decides, and two that cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from dragoman.roles.explore.counts import Counts

LENGTH = 5
NAMES = ("go left", "go right")


def one(texts: Sequence[str]) -> list[float]:
    """Return 1 for every text: a reward that counts steps."""
    return [1.0 for _ in texts]


def begun_copies(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that fills with the copies in which a bonus of counts sees an episode begin."""
    begun: list[int] = []
    begin = Counts.begin

    def counted(self: Counts, envs: Any, states: Any) -> None:
        begun.extend(envs.tolist())
        begin(self, envs, states)

    monkeypatch.setattr(Counts, "begin", counted)
    return begun


class Corridor(gym.Env[int, int]):
    """Begin somewhere in the middle; the right end pays 1, the left end nothing.

    Steps cost ``cost``. The seed decides the start, so copies with one seed begin alike.
    """

    def __init__(self, cost: float = 0.0) -> None:
        self.observation_space = gym.spaces.Discrete(LENGTH)
        self.action_space = gym.spaces.Discrete(2)
        self.cost = cost

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.place = int(self.np_random.integers(1, LENGTH - 1))
        return self.place, {"action_texts": list(NAMES)}

    def step(self, action: int) -> Any:
        self.place += 1 if action else -1
        is_over = self.place in (0, LENGTH - 1)
        reward = float(self.place == LENGTH - 1) - self.cost
        return self.place, reward, is_over, False, {"action_texts": list(NAMES)}


class Breaking(Corridor):
    """Breaks now and then, more often to the right."""

    def step(self, action: int) -> Any:
        if self.np_random.random() < 0.05 * (1 + action):
            raise OSError("the floor is gone")
        return super().step(action)


class Anywhere(Corridor):
    """Begins where it likes, whatever the seed."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        _, info = super().reset(seed=seed)
        self.place = int(np.random.default_rng().integers(0, 2**40) % 3) + 1
        return self.place, info


class OwnDice(Corridor):
    """Begins alike, but draws on from a generator that no seed reaches."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        result = super().reset(seed=seed)
        self.np_random = np.random.default_rng()
        return result


class Unpaid(Corridor):
    """Pays nothing at all."""

    def step(self, action: int) -> Any:
        place, _, *rest = super().step(action)
        return place, 0.0, *rest
