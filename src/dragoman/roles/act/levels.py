"""How likely a model finds each action in any state, which calibration takes off its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dragoman.errors import SpaceError
from dragoman.types import FloatArray


class Levels:
    """The mean score of each action over the states that were met and in which it is valid.

    Batch calibration (Zhou et al., ICLR 2024), with an action's number as the label: what is left
    of a score is how much likelier the action is in this state than in others. Where the text of
    an action names what the state is about, as in *"put razor in fridge"*, a prompt that names the
    domain alone takes this knowledge off too, and the mean over states does not.

    Args:
        count: Number of actions ``K``.

    Attributes:
        learning: Whether calls take in the scores they are given.
        met: States in which each action was valid, int64 ``(K,)``.
        mean: Mean score of each action over these, float64 ``(K,)``.
    """

    def __init__(self, count: int) -> None:
        self.learning = True
        self.met: NDArray[np.int64] = np.zeros(count, np.int64)
        self.mean: NDArray[np.float64] = np.zeros(count)

    def __call__(self, scores: FloatArray, options: Sequence[Mapping[int, Any]]) -> FloatArray:
        """Return what scores are above the mean of their action; zero where not valid.

        Args:
            scores: float32 ``(B, K)``.
            options: The valid actions of each row.
        """
        valid = np.zeros(scores.shape, bool)
        for row, own in zip(valid, options, strict=True):
            row[list(own)] = True
        if self.learning:
            new = valid.sum(axis=0)
            self.met = self.met + new
            total = np.where(valid, scores - self.mean, 0.0).sum(axis=0)
            self.mean = self.mean + total / np.maximum(self.met, 1)
        return np.where(valid, scores - self.mean, 0.0).astype(np.float32)

    def state(self) -> dict[str, np.ndarray]:
        """Return what must be saved to subtract the same again."""
        return {"levels.met": self.met, "levels.mean": self.mean}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what `state` returned.

        Raises:
            SpaceError: It is of another number of actions.
        """
        if state["levels.mean"].shape != self.mean.shape:
            raise SpaceError(
                f"the saved levels are of {len(state['levels.mean'])} actions, there are "
                f"{len(self.mean)} here",
                cure="use the environment that the run was trained in",
            )
        self.met, self.mean = state["levels.met"], state["levels.mean"]
