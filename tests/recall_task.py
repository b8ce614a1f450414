"""A task that nothing without a memory can solve: say at the end what was shown at the start."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np


class Recall(gym.Env[Any, Any]):
    """Shows one of two cues, then nothing for some steps, then asks which it was.

    The best policy earns 1 in every episode. What sees the present alone sees the same in the
    last step of every episode, so it earns 1/2 whatever it does.
    """

    def __init__(self, delay: int = 2) -> None:
        self.observation_space = gym.spaces.Box(0, 1, (3,), np.float32)
        self.action_space = gym.spaces.Discrete(2)
        self.delay = delay
        self.cue = self.steps = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.cue, self.steps = int(self.np_random.integers(2)), 0
        return self._seen(self.cue), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        if self.steps <= self.delay:
            return self._seen(2 if self.steps == self.delay else None), 0.0, False, False, {}
        return self._seen(None), float(action == self.cue), True, False, {}

    def _seen(self, which: int | None) -> Any:
        result = np.zeros(3, np.float32)
        if which is not None:
            result[which] = 1.0
        return result


class Noise(gym.Env[Any, Any]):
    """Shows random numbers for three steps or more, and rewards each action by what it is."""

    def __init__(self, choices: int = 0) -> None:
        self.observation_space = gym.spaces.Box(-3, 3, (2,), np.float32)
        number = gym.spaces.Box(-1, 1, (1,), np.float32)
        self.action_space = gym.spaces.Discrete(choices) if choices else number
        self.left = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.left = int(self.np_random.integers(3, 8))
        return self._seen(), {}

    def step(self, action: Any) -> Any:
        self.left -= 1
        return self._seen(), float(np.sum(action)), self.left == 0, False, {}

    def _seen(self) -> Any:
        return self.np_random.uniform(-3, 3, 2).astype(np.float32)
