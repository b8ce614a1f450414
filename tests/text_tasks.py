"""Two toy tasks in text: a bandit whose actions change every step, and one that needs memory."""

from __future__ import annotations

import string
from typing import Any

import gymnasium as gym
import numpy as np

COLOURS = ("red", "green", "blue", "white")
WORDS = ("left", "right", "pole")
"""Of one token each for the tokenizers of `tests.models.tiny`, so that texts are short."""


class Lamps(gym.Env[str, int]):
    """Press the button that has the colour of the lamp; the buttons lie anew every step.

    Of ``A`` actions ``buttons`` are valid; pressing another is an error, so that a policy
    that ignores masks is found out. Right is worth 1, wrong nothing; random earns 1 / buttons.
    An episode has one step, or ``length``.
    """

    def __init__(self, buttons: int = 3, size: int = 4, length: int = 1) -> None:
        self.observation_space = gym.spaces.Text(100, charset=string.ascii_lowercase + " ")
        self.action_space = gym.spaces.Discrete(size)
        self.buttons, self.length = buttons, length

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.left = self.length
        return self._deal()

    def step(self, action: int) -> Any:
        assert self.texts[action], "an invalid action was taken"
        reward = float(self.texts[action] == f"press {self.lamp}")
        self.left -= 1
        if self.left:
            text, info = self._deal()
        else:
            self.texts = [""] * len(self.texts)
            text, info = "over", self._info()
        return text, reward, not self.left, False, info

    def _deal(self) -> Any:
        size = int(self.action_space.n)
        places = self.np_random.choice(size, self.buttons, replace=False)
        colours = self.np_random.choice(COLOURS, self.buttons, replace=False)
        self.texts = [""] * size
        for place, colour in zip(places, colours, strict=True):
            self.texts[place] = f"press {colour}"
        self.lamp = str(colours[0])
        return f"lamp {self.lamp}", self._info()

    def _info(self) -> dict[str, Any]:
        mask = np.array([bool(text) for text in self.texts], np.int8)
        return {"action_mask": mask, "action_texts": list(self.texts)}


def bag_of_words(text: str) -> np.ndarray:
    """Return which colours a text names, and how many words it has."""
    words = text.split()
    return np.array([*(words.count(colour) for colour in COLOURS), len(words)], np.float32)


def says_the_colour(prompt: str, candidate: str) -> list[float]:
    """Score a button by one log-prob of 0 if the prompt names its colour, of -2 otherwise."""
    return [0.0 if candidate.split()[-1] in prompt.split() else -2.0]


class Recall(gym.Env[str, int]):
    """See a word, then nothing for ``length - 1`` steps, and say the word in the last one.

    Only the last action counts: 1 if right. With ``length`` 1 it is a bandit; beyond that, who
    has no memory earns a third. Truth is told in text alone; actions are always the same three.
    """

    def __init__(self, length: int = 3) -> None:
        self.observation_space = gym.spaces.Text(100, charset=string.ascii_lowercase + " ")
        self.action_space = gym.spaces.Discrete(3)
        self.length = length

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.word = int(self.np_random.integers(3))
        self.left = self.length
        return WORDS[self.word], self._info()

    def step(self, action: int) -> Any:
        self.left -= 1
        reward = float(not self.left and action == self.word)
        return "cart", reward, not self.left, False, self._info()

    def _info(self) -> dict[str, Any]:
        return {"action_texts": list(WORDS)}


class Alphabet(gym.Env[str, Any]):
    """Say an early letter when asked for one, else a late one: 1 if right."""

    def __init__(self, length: int = 1) -> None:
        self.observation_space = gym.spaces.Text(100, charset=string.ascii_lowercase + " ")
        self.action_space = gym.spaces.Discrete(26)
        self.length = length

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.left = self.length
        return self._ask()

    def step(self, action: int) -> Any:
        assert 0 <= action < 26, "a text that names nothing was taken for an action"
        self.left -= 1
        reward = float((action < 13) == self.is_early)
        text, info = self._ask()
        return text, reward, not self.left, False, info

    def _ask(self) -> Any:
        self.is_early = bool(self.np_random.integers(2))
        text = "left" if self.is_early else "right"
        return text, {"action_texts": list(string.ascii_lowercase)}


class Letters(Alphabet):
    """The same, where what is said is a text: one small letter."""

    def __init__(self, length: int = 1) -> None:
        super().__init__(length)
        self.action_space = gym.spaces.Text(1, charset=string.ascii_lowercase)

    def step(self, action: str) -> Any:
        assert self.action_space.contains(action), f"{action!r} was taken for an action"
        return super().step(ord(action) - ord("a"))

    def _ask(self) -> Any:
        return super()._ask()[0], {}
