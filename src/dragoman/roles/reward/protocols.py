"""What a reward is given before the training: texts of random play, the model, a folder."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from dragoman.types import RewardFunction


@dataclass(frozen=True)
class Preparation:
    """What a reward may look at before the training.

    Attributes:
        name: The reward's name in the experiment.
        model: The language model that the reward asks.
        sample: Plays so many steps at random, and returns the texts of the states in their order.
        seed: Seed of the training.
        folder: The run folder, for what should be kept.
    """

    name: str
    model: Any
    sample: Callable[[int], list[str]]
    seed: int
    folder: Path

    def distinct_texts(self, steps: int) -> list[str]:
        """Return the different texts of so many random steps, in the order they were met."""
        return list(dict.fromkeys(self._sampled(steps)))

    @functools.cached_property
    def _sampled(self) -> Callable[[int], list[str]]:
        return functools.lru_cache(maxsize=4)(self.sample)


@runtime_checkable
class Fits(Protocol):
    """A reward that must know the environment, such as the names of its numbers."""

    def fitted(self, env: Any) -> RewardFunction:
        """Return the reward for an environment or a vector environment."""
        ...


@runtime_checkable
class Prepares(Protocol):
    """A reward that wants to measure, ask or learn something before the training."""

    def prepared(self, preparation: Preparation) -> tuple[RewardFunction, Mapping[str, Any]]:
        """Return the reward to train with, and what was found out, for ``rewards.json``."""
        ...
