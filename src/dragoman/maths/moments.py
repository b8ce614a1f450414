"""Running mean and variance of a stream of vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations of all vectors seen so far.

    Batches are merged by the pairwise update of Chan, Golub and LeVeque (1979), which keeps
    its precision where a naive sum of squares would cancel.

    Attributes:
        count: Number of vectors seen.
        mean: float64 array ``(D,)``.
        squares: Sum of squared deviations from the mean, float64 array ``(D,)``.
    """

    count: int
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]

    @classmethod
    def empty(cls, size: int) -> Moments:
        """Return the moments of no vectors of ``size`` numbers."""
        return cls(0, np.zeros(size), np.zeros(size))

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Moments:
        """Return the moments that `arrays` was called on."""
        return cls(int(arrays["count"]), arrays["mean"], arrays["squares"])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return everything as arrays by name, to be saved."""
        return {
            "count": np.array(self.count),
            "mean": self.mean,
            "squares": self.squares,
        }

    def merge(self, batch: NDArray[np.floating]) -> Moments:
        """Return the moments after also seeing ``batch``, an array ``(B, D)``."""
        rows = np.asarray(batch, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.mean.shape[0]:
            raise ValueError(f"batch must have shape (B, {self.mean.shape[0]}), not {rows.shape}")
        if not len(rows):
            return self
        count = self.count + len(rows)
        mean = rows.mean(axis=0)
        delta = mean - self.mean
        squares = ((rows - mean) ** 2).sum(axis=0) + delta**2 * (self.count * len(rows) / count)
        return Moments(count, self.mean + delta * (len(rows) / count), self.squares + squares)

    @property
    def variance(self) -> NDArray[np.float64]:
        """Population variance ``(D,)``; one where nothing was seen."""
        return self.squares / self.count if self.count else np.ones_like(self.squares)

    def standardise(
        self, batch: NDArray[np.floating], *, clip: float = 10.0, epsilon: float = 1e-8
    ) -> NDArray[np.float32]:
        """Return ``(batch - mean) / std``, clipped to ``[-clip, clip]``, as float32 ``(B, D)``."""
        scaled = (batch - self.mean) / np.sqrt(self.variance + epsilon)
        return np.clip(scaled, -clip, clip).astype(np.float32)
