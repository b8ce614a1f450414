"""What effect a number of seeds can show, and how many seeds an effect needs.

Both are for the sign-flip test of `dragoman.stats.paired`, used as the verdict uses it: an arm
must beat every one of ``k`` comparisons after Holm, at a level shared between ``arms``. Effects
are in standard deviations of the paired differences. Scores of runs are seldom normal, so three
kinds are tried, normal, skewed (exponential) and two-humped (even odds of one of two values), and
the effect returned is the one that all three show. Comparisons are taken as independent; those of
one arm share its runs, which correlates them positively and makes it likelier that all succeed.
So the effects err on the large side: by up to a tenth for normal scores.

One kind is left out: scores of which each is 0 or 1, where a gain means more ones. Runs in
which neither or both succeed are seeds lost, so the power at that effect falls short of the
promised 0.8: it is about 0.5 at 6 seeds, 0.7 at 10 and 0.8 from 15 on.

Nothing is looked up: the test is run on simulated differences. For one set ``z`` of ``n``
differences the smallest effect that the test would have found has a closed form. Flipping the
signs of a subset ``S`` beats the mean seen just if ``effect <= -mean(z over S)``, so ``p <= m/2^n``
just if the effect exceeds the ``m``-th largest of these ``2^n - 1`` numbers (the typical values
of Hartigan 1969). Beyond ten differences the t-test's ``t s/sqrt(n) - mean(z)`` takes its place,
to which the sign-flip test tends (Hoeffding 1952), and beyond 50 the effect is scaled.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dragoman.errors import ConfigError
from dragoman.stats.paired import FLIPS, holm_levels

EXACT = 10  # differences up to which every subset is looked at
LARGE = 50  # differences beyond which the effect falls as 1/sqrt(n), within 2 %
POWER = 0.8  # chance that an effect called detectable is detected
SIMULATIONS = 4_000
SEED = 20_210_830  # any will do, but the same always, so that a report can be made again

_Draw: TypeAlias = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]


def _normal(generator: np.random.Generator, size: tuple[int, ...]) -> NDArray[np.float64]:
    return np.asarray(generator.standard_normal(size))


def _skewed(generator: np.random.Generator, size: tuple[int, ...]) -> NDArray[np.float64]:
    return np.asarray(generator.standard_exponential(size))


def _two_humped(generator: np.random.Generator, size: tuple[int, ...]) -> NDArray[np.float64]:
    # A little noise on each value, for equal differences to the bit are as rare in scores.
    values = generator.integers(0, 2, size) * 2.0 - 1.0
    return np.asarray((values + 0.1 * generator.standard_normal(size)) / np.sqrt(1.01))


_KINDS: tuple[_Draw, ...] = (_normal, _skewed, _two_humped)  # of unit variance


def fewest_units(*, comparisons: int = 1, arms: int = 1, alpha: float = 0.05) -> int:
    """Return the fewest paired differences that can pass at all: ``2^-n <= alpha/(k arms)``.

    Args:
        comparisons: How many an arm must win, ``k``.
        arms: How many arms are judged together.
        alpha: Accepted chance of a false success.

    Raises:
        ConfigError: A number is outside its range, or so many tests that no seeds would do.
    """
    _check(comparisons, arms, alpha)
    level = alpha / (comparisons * arms)
    if level < 1 / (FLIPS + 1):
        raise ConfigError(
            f"{comparisons * arms} tests share the level {alpha}, below any p-value of many seeds",
            cure="judge fewer arms together",
        )
    return max(int(np.ceil(-np.log2(level))), 1)


def detectable_effect(
    units: int, *, comparisons: int = 1, arms: int = 1, alpha: float = 0.05
) -> float:
    """Return the effect that ``n`` paired differences show in 80 % of experiments.

    Args:
        units: Paired differences, ``n``: seeds, or seeds times tasks.
        comparisons: How many an arm must win, ``k``.
        arms: How many arms are judged together.
        alpha: Accepted chance of a false success.

    Returns:
        Mean over standard deviation of the paired differences; infinity below `fewest_units`.

    Raises:
        ConfigError: A number is outside its range.
    """
    if units < fewest_units(comparisons=comparisons, arms=arms, alpha=alpha):
        return np.inf
    shrunk = float(np.sqrt(LARGE / max(units, LARGE)))
    return _detectable(min(units, LARGE), comparisons, arms, alpha) * shrunk


def units_needed(
    effect: float, *, comparisons: int = 1, arms: int = 1, alpha: float = 0.05
) -> int | None:
    """Return how many paired differences show an effect in 80 % of experiments.

    Arguments are those of `detectable_effect`, of which this is the inverse.

    Returns:
        At least `fewest_units`; ``None`` if the effect is not positive, which no number shows.
    """
    few = fewest_units(comparisons=comparisons, arms=arms, alpha=alpha)
    if effect <= 0:
        return None

    def detectable(units: int) -> float:
        return detectable_effect(units, comparisons=comparisons, arms=arms, alpha=alpha)

    if detectable(few) <= effect:
        return few
    if detectable(LARGE) > effect:
        return int(np.ceil(LARGE * (detectable(LARGE) / effect) ** 2))
    enough = LARGE
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if detectable(middle) <= effect else (middle, enough)
    return enough


@lru_cache(maxsize=4096)
def _detectable(units: int, comparisons: int, arms: int, alpha: float) -> float:
    """Return the effect that all kinds of scores show with the power `POWER`."""
    kinds = _needed_effects(units, comparisons, arms, alpha)
    return float(np.quantile(kinds, POWER, axis=1).max())


def _needed_effects(units: int, comparisons: int, arms: int, alpha: float) -> NDArray[np.float64]:
    """Return the smallest effects that simulated experiments would have shown, one row a kind.

    Holm rejects all of ``k`` hypotheses just if, for every ``i``, at least ``i`` of them pass at
    ``alpha/(k - i + 1)``: so the effect must reach the ``i``-th smallest of those needed there.
    """
    levels = holm_levels(comparisons, alpha / arms)
    ranks = np.arange(comparisons)
    rows = []
    for kind, draw in enumerate(_KINDS):
        generator = np.random.default_rng((SEED, kind))
        needed = _needed_at(draw, units, levels, generator)
        ranked = np.sort(needed.reshape(-1, comparisons, comparisons), axis=1)
        rows.append(ranked[:, ranks, ranks].max(axis=1))
    return np.array(rows)


def _needed_at(
    draw: _Draw, units: int, levels: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.float64]:
    """Return the effects needed at each level by ``k`` comparisons of each simulation."""
    from scipy.special import stdtrit  # SciPy takes a second to import

    sets = SIMULATIONS * len(levels)
    x, y = draw(generator, (2, sets, units))
    noise = (x - y) / np.sqrt(2)
    if units <= EXACT:
        return _typical_values(noise, levels)
    mean, deviation = noise.mean(axis=1), noise.std(axis=1, ddof=1)
    critical = -stdtrit(units - 1, levels) / np.sqrt(units)
    return np.asarray(deviation[:, None] * critical - mean[:, None])


def _typical_values(noise: NDArray[np.float64], levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return, of each row of noise, the effects at which its p-value falls to each level."""
    units = noise.shape[1]
    subsets = ((np.arange(1, 2**units)[:, None] >> np.arange(units)) & 1).astype(np.float64)
    means = noise @ (-subsets / subsets.sum(axis=1, keepdims=True)).T
    # The pattern seen is itself the first of the m that p <= m/2^n allows.
    ranks = 2**units - 1 - np.floor(levels * 2**units + 1e-9).astype(int)
    return np.asarray(np.partition(means, np.unique(ranks), axis=1)[:, ranks])


def _check(comparisons: int, arms: int, alpha: float) -> None:
    if comparisons < 1 or arms < 1:
        raise ConfigError(
            f"{comparisons} comparisons of {arms} arms are no test", cure="give at least one each"
        )
    if not 0 < alpha < 1:
        raise ConfigError(f"alpha {alpha} is no chance", cure="give one such as 0.05")
