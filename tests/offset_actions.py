"""Toy tasks whose actions are counted from another number than zero."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

WORDS = ("low", "middle", "high")


class Started(gym.Env[str, Any]):
    """Say the word that is asked for: actions ``start`` to ``start + 2`` say `WORDS`.

    The first one is never valid where ``masked``, and never asked for then. Any number
    outside its space is an error.
    """

    def __init__(self, start: int = 1, length: int = 3, masked: bool = False) -> None:
        self.observation_space: gym.Space[Any] = gym.spaces.Text(30, charset=string.printable)
        self.action_space: gym.Space[Any] = gym.spaces.Discrete(3, start=start)
        self.start, self.length, self.masked = start, length, masked
        self.done: list[int] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.left = self.length
        return self._asked()

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action), f"{action!r} is not in {self.action_space}"
        index = int(action) - self.start
        assert not (self.masked and index == 0), "an invalid action was taken"
        self.done.append(int(action))
        reward = float(index == self.wanted)
        self.left -= 1
        return *self._asked()[:1], reward, not self.left, False, self._info()

    def _asked(self) -> Any:
        self.wanted = int(self.np_random.integers(self.masked, 3))
        return self._said(), self._info()

    def _said(self) -> Any:
        return f"say {WORDS[self.wanted]}"

    def _info(self) -> dict[str, Any]:
        mask = np.array([not self.masked, 1, 1], np.int8)
        texts = [word if allowed else "" for word, allowed in zip(WORDS, mask, strict=True)]
        return {"action_texts": texts, **({"action_mask": mask} if self.masked else {})}


class StartedNumbers(Started):
    """The same in numbers, and without texts of its own."""

    def __init__(self, start: int = 1, length: int = 3) -> None:
        super().__init__(start, length)
        self.observation_space = gym.spaces.Box(0, 1, (3,), np.float32)

    def _said(self) -> Any:
        return np.eye(3, dtype=np.float32)[self.wanted]

    def _info(self) -> dict[str, Any]:
        return {}


class StartedSeveral(StartedNumbers):
    """Several choices at once: the first of two is the one that counts."""

    def __init__(self, start: tuple[int, int] = (1, -2), length: int = 3) -> None:
        super().__init__(start[0], length)
        self.action_space = gym.spaces.MultiDiscrete([3, 2], start=np.array(start))

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action), f"{action!r} is not in {self.action_space}"
        reward = float(int(action[0]) - self.start == self.wanted)
        self.left -= 1
        return *self._asked()[:1], reward, not self.left, False, {}


def reads_the_word(text: str) -> np.ndarray:
    """Return which of the words a text names."""
    return np.array([word in text for word in WORDS], np.float32)


def says_the_word(prompt: str, candidate: str) -> list[float]:
    """Score a word by a log-prob of 0 where the prompt names it, of -5 otherwise."""
    return [0.0 if candidate.split()[-1] in prompt.split() else -5.0]


def said(texts: Sequence[str], actions: Sequence[str]) -> np.ndarray:
    """Reward each action by the number of its word."""
    return np.array([float(WORDS.index(action)) for action in actions])
