"""E3B: how far a state lies outside the ellipsoid of the states of its episode.

Henaff, Raileanu, Jiang and Rocktäschel, "Exploration via Elliptical Episodic Bonuses" (2022):

    b(s_t) = φ_tᵀ C_{t-1}⁻¹ φ_t,    C_t = λ I + Σ_{i ≤ t} φ_i φ_iᵀ

over the states of the running episode. With one-hot features it is 1 / (λ + visits); with features
of a language model, states count as alike where their texts are. The inverse is kept by the formula
of Sherman and Morrison, in D² operations a step:

    C_t⁻¹ = C_{t-1}⁻¹ − u uᵀ / (1 + b),    u = C_{t-1}⁻¹ φ_t
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dsymv, dsyr

from dragoman.roles.explore.states import States

RIDGE = 0.1
"""λ: the bonus of a state whose features are orthogonal to all others, and of length 1, is 10."""


class E3B:
    """The elliptical episodic bonus.

    Args:
        num_envs: ``N``.
        size: Width ``D`` of the features.

    Attributes:
        inverse: C⁻¹ of each running episode, float64 ``(N, D, D)``; its upper triangles are right.
        learning: Of no use here: all that is learnt belongs to an episode.
    """

    learning = True
    resumes = ()

    def __init__(self, num_envs: int, size: int) -> None:
        self.inverse = np.tile(np.eye(size) / RIDGE, (num_envs, 1, 1))

    def begin(self, envs: NDArray[np.int64], states: States) -> None:
        """Forget the episodes before."""
        self.inverse[envs] = np.eye(self.inverse.shape[1]) / RIDGE
        self.bonus(envs, states)

    def bonus(self, envs: NDArray[np.int64], states: States) -> NDArray[np.float64]:
        """Return φᵀ C⁻¹ φ by the episode before this state, and take the state into C."""
        result = np.zeros(len(envs))
        for row, (i, phi) in enumerate(zip(envs, states.features.astype(np.float64), strict=True)):
            # Transposed, since BLAS writes into arrays in the order of Fortran only.
            inverse = self.inverse[i].T
            along = dsymv(1.0, inverse, phi, lower=1)
            result[row] = phi @ along
            dsyr(-1.0 / (1.0 + result[row]), along, a=inverse, lower=1, overwrite_a=1)
        return result

    def state(self) -> dict[str, NDArray[Any]]:
        """Return nothing: an episode's memory ends with it."""
        return {}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore nothing."""
