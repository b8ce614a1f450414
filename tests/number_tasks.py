"""Toy tasks in numbers, each with a rule that a small network can learn."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np


class Numbered(gym.Env[np.ndarray, Any]):
    """Numbers drawn anew each step, in episodes of ten."""

    observation_space: gym.Space[Any] = gym.spaces.Box(-1.0, 1.0, (4,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.left = 10
        return self._deal()

    def step(self, action: Any) -> Any:
        reward = self.worth(action)
        self.left -= 1
        observation, info = self._deal()
        return observation, reward, False, not self.left, info

    def worth(self, action: Any) -> float:
        raise NotImplementedError

    def _deal(self) -> tuple[np.ndarray, dict[str, Any]]:
        self.seen = self.np_random.uniform(-1, 1, 4).astype(np.float32)
        return self.seen, {}


class Greatest(Numbered):
    """Name the greatest of the numbers whose action is valid; counted from ``start``."""

    def __init__(self, start: int = 0, masked: bool = True) -> None:
        self.action_space = gym.spaces.Discrete(4, start=start)
        self.masked, self.start = masked, start

    def worth(self, action: Any) -> float:
        action = int(action) - self.start
        assert self.mask[action], "an invalid action was taken"
        return float(action == np.where(self.mask, self.seen, -2).argmax())

    def _deal(self) -> tuple[np.ndarray, dict[str, Any]]:
        self.mask = np.ones(4, np.int8)
        if self.masked:
            self.mask[self.np_random.choice(4, 2, replace=False)] = 0
        info = {"action_mask": self.mask} if self.masked else {}
        return super()._deal()[0], info


class Turned(Numbered):
    """Give two sums of the numbers, cut off at one: a continuous action of shape (2, 1)."""

    def __init__(self, bounded: bool = True) -> None:
        end = 1.0 if bounded else np.inf
        self.action_space = gym.spaces.Box(-end, end, (2, 1), np.float32)

    def worth(self, action: Any) -> float:
        assert action.shape == (2, 1)
        return -float(np.abs(action - sums(self.seen)).mean())


def greatest(observations: Any, infos: Any, start: int = 0) -> list[int]:
    """Take the greatest valid number."""
    masks = [info.get("action_mask", np.ones(4)) for info in infos]
    pairs = zip(observations, masks, strict=True)
    return [start + int(np.where(mask, seen, -2).argmax()) for seen, mask in pairs]


def sums(seen: np.ndarray) -> np.ndarray:
    """Return what a turn should be."""
    result = np.array([[seen[0] + seen[1]], [seen[2] - seen[3]]], np.float32)
    return np.clip(result, -1, 1)


def turned(observations: Any, infos: Any) -> list[np.ndarray]:
    """Give the sums."""
    return [sums(seen) for seen in observations]
