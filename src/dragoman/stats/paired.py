"""Is one arm better than another, run for run with the same seeds?

The test is the sign-flip test of the paired differences (Fisher 1935, "The design of
experiments", section 21). If the arms are exchangeable under a seed, as an arm and a placebo
with the same effect are, each difference is as likely to have the opposite sign, so all
``2^n`` patterns of signs are equally likely, and the p-value is the share of them whose mean is
at least the one seen. It needs neither normal scores nor equal variances over seeds, where the
t-test needs the former and the Wilcoxon test tests something other than the mean; it is exact
for the handful of seeds that reinforcement learning affords.

Its price is a floor: no ``n`` seeds give a p-value below ``2^-n``, one-sided: 0.031 for 5,
0.001 for 10. Where several tests are made of the same data, `holm` corrects for it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dragoman.errors import ConfigError

EXACT = 16  # differences up to which all patterns of signs are tried
FLIPS = 19_999  # patterns drawn beyond; with the one seen they make 20 000
CHUNK = 4_000_000  # numbers in one array of flipped statistics, which bounds memory
ROUNDING = 1e-12  # of the sum of absolute differences: sums in another order are still ties


def smallest_p_value(units: int) -> float:
    """Return the smallest one-sided p-value that ``n`` paired differences can give, ``2^-n``."""
    return 2.0**-units if units <= EXACT else 1 / (FLIPS + 1)


def sign_flip_p_value(
    differences: ArrayLike, *, generator: np.random.Generator | None = None
) -> NDArray[np.float64]:
    """Return the one-sided sign-flip p-value of the mean of paired differences being positive.

    All ``2^n`` patterns are tried for up to 16 differences; beyond, 19 999 are drawn and the
    one seen is counted with them, ``(1 + hits)/20 000``, which keeps the test exact (Phipson and
    Smyth 2010, "Permutation p-values should never be zero").

    Args:
        differences: ``(n,)``, or any number of such rows, ``(..., n)``. Differences of ``R``
            seeds on ``T`` tasks are ``n = RT`` independent ones.
        generator: Source of the patterns beyond 16 differences.

    Returns:
        One p-value a row, ``(...)``; 1 where all differences are zero.

    Raises:
        ConfigError: There are no differences, or one is NaN or infinite.
    """
    rows = np.asarray(differences, dtype=np.float64)
    if rows.ndim < 1 or not rows.shape[-1] or not np.isfinite(rows).all():
        raise ConfigError(
            f"differences of shape {rows.shape} are empty, or hold NaN or infinity",
            cure="give one finite number a pair of runs, on the seeds that both arms have",
        )
    flat = rows.reshape(-1, rows.shape[-1])
    signs, extra = _signs(flat.shape[1], generator)
    signs = signs.astype(np.float64)
    p_values = np.empty(len(flat))
    chunk = max(CHUNK // len(signs), 1)
    for start in range(0, len(flat), chunk):
        part = flat[start : start + chunk]
        flipped, seen = part @ signs.T, part.sum(axis=1)
        ties = ROUNDING * np.abs(part).sum(axis=1)
        hits = (flipped >= (seen - ties)[:, None]).sum(axis=1)
        p_values[start : start + chunk] = (hits + extra) / (len(signs) + extra)
    return p_values.reshape(rows.shape[:-1])


def _signs(units: int, generator: np.random.Generator | None) -> tuple[NDArray[np.int8], int]:
    """Return patterns of signs ``(P, n)``, and how many more to count as seen."""
    if units <= EXACT:
        return _all_signs(units), 0
    if generator is None:
        raise ConfigError(
            f"the signs of {units} differences are too many to try all, so some are drawn",
            cure="give a generator, such as numpy.random.default_rng(0)",
        )
    return 1 - 2 * generator.integers(0, 2, size=(FLIPS, units), dtype=np.int8), 1


@lru_cache(maxsize=EXACT)
def _all_signs(units: int) -> NDArray[np.int8]:
    """Return all ``2^n`` patterns of signs, the one without a flip first, ``(2^n, n)``."""
    bits = (np.arange(2**units)[:, None] >> np.arange(units)) & 1
    signs = (1 - 2 * bits).astype(np.int8)
    signs.flags.writeable = False
    return signs


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return p-values adjusted by Holm (1979), in the order given.

    Sorted upwards, ``q_(i) = max over j <= i of min((m - j + 1) p_(j), 1)``. Rejecting where
    ``q <= alpha`` keeps the chance of any false rejection among all ``m`` at most ``alpha``,
    however the tests depend on each other.

    Args:
        p_values: ``(m,)`` numbers in [0, 1].

    Raises:
        ConfigError: They are not one row of probabilities.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not np.all((p >= 0) & (p <= 1)):
        raise ConfigError(
            f"{p_values!r} is not one row of p-values", cure="give numbers from 0 to 1"
        )
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def holm_levels(tests: int, alpha: float) -> NDArray[np.float64]:
    """Return what the p-values, sorted upwards, must not exceed for Holm to reject all.

    They are ``alpha/m, alpha/(m - 1), ..., alpha``.
    """
    return alpha / np.arange(tests, 0, -1)
