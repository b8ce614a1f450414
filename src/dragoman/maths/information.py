"""How much texts say of the prompts that they were written after."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp


def information(log_probs: NDArray[np.float64]) -> tuple[float, float]:
    """Return the entropy of texts given their prompts, and what both have in common, in nats.

    Estimates from ``N`` pairs: the mean of ``-log p(z_i|x_i)``, and of
    ``log p(z_i|x_i) - log mean_j p(z_i|x_j)``, which lies below ``log N`` and is zero where every
    prompt gets the same texts (the diagnostics of RAGEN-2, Wang et al. 2026).

    >>> entropy, common = information(np.log([[0.5, 0.25], [0.25, 0.5]]))
    >>> round(entropy, 4), round(common, 4)
    (0.6931, 0.2877)

    Args:
        log_probs: Of text ``i`` after prompt ``j``, ``(N, N)``.
    """
    own = np.diagonal(log_probs)
    mixed = logsumexp(log_probs, axis=1) - np.log(len(log_probs))
    return float(-own.mean()), float((own - mixed).mean())
