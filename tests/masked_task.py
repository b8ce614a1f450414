"""A toy task that says in different ways which of its actions are valid."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

COUNT = 4


class Masked(gym.Env[Any, Any]):
    """Two of four actions are valid, others each step; taking another is an error.

    An episode has five steps. The lowest valid action is worth 1.
    """

    observation_space: gym.Space[Any] = gym.spaces.Box(0, 1, (COUNT,), np.float32)
    action_space: gym.Space[Any] = gym.spaces.Discrete(COUNT, start=2)
    strict = True

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.taken = 0
        self._deal()
        return self.observation(), self.info()

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action)
        index = int(action) - 2
        assert self.mask[index] or not self.strict, "an invalid action was taken"
        reward = float(index == self.mask.argmax())
        self.taken += 1
        self._deal()
        return self.observation(), reward, self.is_over, False, self.info()

    @property
    def is_over(self) -> bool:
        return self.taken == 5

    def _deal(self) -> None:
        self.mask = np.zeros(COUNT, np.int8)
        if not self.is_over:
            self.mask[self.np_random.choice(COUNT, 2, replace=False)] = 1

    def observation(self) -> Any:
        return self.mask.astype(np.float32)

    def info(self) -> dict[str, Any]:
        return {}


class InInfo(Masked):
    """Gymnasium's way."""

    def info(self) -> dict[str, Any]:
        return {"action_mask": self.mask.astype(bool)}


class ByMethod(Masked):
    """sb3-contrib's way; after the end the method fails."""

    def action_masks(self) -> list[bool]:
        assert not self.is_over
        return [bool(item) for item in self.mask]


class InObservation(Masked):
    """PettingZoo's and RLlib's way."""

    observation_space = gym.spaces.Dict(
        observation=gym.spaces.Box(0, 1, (2,), np.float32),
        action_mask=gym.spaces.Box(0, 1, (COUNT,), np.int8),
    )

    def observation(self) -> Any:
        return {
            "observation": np.array([0.5, self.taken / 5], np.float32),
            "action_mask": self.mask,
        }


class InObservations(InObservation):
    """The same under RLlib's other name, in bits."""

    observation_space = gym.spaces.Dict(
        observations=gym.spaces.Box(0, 1, (2,), np.float32),
        action_mask=gym.spaces.MultiBinary(COUNT),
    )

    def observation(self) -> Any:
        result = super().observation()
        return {"observations": result["observation"], "action_mask": result["action_mask"]}


class ByTexts(Masked):
    """An action that cannot be taken now has no text."""

    def info(self) -> dict[str, Any]:
        return {"action_texts": [f"take {i}" if one else "" for i, one in enumerate(self.mask)]}


CONVENTIONS = ("InInfo", "ByMethod", "InObservation", "InObservations", "ByTexts")


class Stuck(InInfo):
    """Nothing is valid from step ``at`` on."""

    def __init__(self, at: int = 3, cut: bool = False) -> None:
        self.at, self.cut = at, cut

    def _deal(self) -> None:
        super()._deal()
        if self.taken >= self.at:
            self.mask[:] = 0

    def step(self, action: Any) -> Any:
        observation, reward, _, _, info = super().step(action)
        return observation, reward, False, self.cut and self.taken == self.at, info


class Several(Masked):
    """Two choices at once, with a mask over all options of both."""

    action_space = gym.spaces.MultiDiscrete([2, 2])
    strict = False

    def step(self, action: Any) -> Any:
        self.taken += 1
        self._deal()
        return self.observation(), 0.0, self.is_over, False, self.info()

    def info(self) -> dict[str, Any]:
        return {"action_mask": self.mask}


class Tolerant(InInfo):
    """Who takes an invalid action gets nothing for it."""

    strict = False


class Misfit(Masked):
    """Says of another number of actions than it has, in the second step."""

    def __init__(self, key: str = "action_mask") -> None:
        self.key = key

    def info(self) -> dict[str, Any]:
        count = COUNT + (self.taken == 2)
        return {self.key: ["take it"] * count if self.key == "action_texts" else np.ones(count)}

    strict = False
