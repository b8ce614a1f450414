import numpy as np
import pytest
from scipy import stats

from dragoman.errors import ConfigError
from dragoman.stats.paired import holm, sign_flip_p_value
from dragoman.stats.power import detectable_effect, fewest_units, units_needed

REPETITIONS = 1000
ERROR = 4 * np.sqrt(0.8 * 0.2 / REPETITIONS)


def normal(random, size):
    return random.standard_normal(size)


def skewed(random, size):
    return random.exponential(size=size)


def skewed_down(random, size):
    return -random.exponential(size=size)


def two_humped(random, size):
    return np.where(random.random(size) < 0.5, 1.0, -1.0) + random.normal(0, 0.1, size)


KINDS = [normal, skewed, skewed_down, two_humped]


def passes(kind, units, comparisons, arms, effect, shared=True) -> float:
    """The share of simulated experiments in which the real test beats every comparison."""
    random = np.random.default_rng(units)
    other = kind(random, (REPETITIONS, comparisons, units))
    own = kind(random, (REPETITIONS, 1 if shared else comparisons, units))
    p = sign_flip_p_value((own - other) / np.sqrt(2) + effect, generator=random)
    return float(np.mean([arms * holm(row).max() <= 0.05 for row in p]))


@pytest.mark.parametrize(
    ("units", "comparisons", "arms"),
    [(5, 1, 1), (6, 2, 1), (7, 3, 1), (8, 3, 3), (10, 1, 1), (11, 2, 1), (12, 4, 1), (20, 2, 2)],
)
def test_the_real_test_has_the_power_promised(units, comparisons, arms) -> None:
    effect = detectable_effect(units, comparisons=comparisons, arms=arms)
    family = (units, comparisons, arms, effect)
    shared = [passes(kind, *family) for kind in KINDS]
    assert min(shared) > 0.8 - ERROR
    # No larger than it must be: independent comparisons of the hardest kind just pass.
    alone = [passes(kind, *family, shared=False) for kind in KINDS]
    assert min(alone) == pytest.approx(0.8, abs=ERROR)
    assert alone[0] < 0.9


def test_runs_that_succeed_or_fail_have_less_power_with_few_seeds() -> None:
    def successes(seeds, gain):
        random = np.random.default_rng(seeds)
        own = random.random((REPETITIONS, 1, seeds)) < 0.15 + gain
        none = random.random((REPETITIONS, 2, seeds)) < 0.15
        noise = random.normal(0, 0.03, (REPETITIONS, 2, seeds))
        p = sign_flip_p_value(own - none.astype(float) + noise, generator=random)
        return np.mean([holm(row).max() <= 0.05 for row in p])

    def gain_of(effect):
        gains = np.linspace(0.01, 0.84, 500)
        variances = 0.15 * 0.85 + (0.15 + gains) * (0.85 - gains) + 0.03**2
        return gains[np.searchsorted(gains / np.sqrt(variances), effect)]

    power = {
        seeds: successes(seeds, gain_of(detectable_effect(seeds, comparisons=2)))
        for seeds in (6, 10, 20)
    }
    assert power == pytest.approx({6: 0.5, 10: 0.7, 20: 0.8}, abs=0.06)


def test_many_seeds_are_a_t_test() -> None:
    # Power of the one-sided one-sample t-test, by its noncentral distribution.
    for units in (60, 400):
        critical = stats.t.isf(0.05, units - 1)
        power = stats.nct.sf(critical, units - 1, detectable_effect(units) * np.sqrt(units))
        assert 0.8 - 0.01 < power < 0.83


@pytest.mark.parametrize(
    ("comparisons", "arms", "fewest"), [(1, 1, 5), (2, 1, 6), (3, 1, 6), (4, 1, 7), (3, 3, 8)]
)
def test_below_the_floor_nothing_is_detectable(comparisons, arms, fewest) -> None:
    family = {"comparisons": comparisons, "arms": arms}
    assert fewest_units(**family) == fewest
    assert detectable_effect(fewest - 1, **family) == np.inf
    assert passes(normal, fewest - 1, comparisons, arms, 100.0) == 0
    assert detectable_effect(fewest, **family) < 3
    assert passes(normal, fewest, comparisons, arms, 100.0) == 1


@pytest.mark.parametrize("comparisons", [1, 3])
@pytest.mark.parametrize("effect", [5.0, 1.2, 0.5, 0.01])
def test_the_units_needed_are_the_fewest_that_do(effect, comparisons) -> None:
    units = units_needed(effect, comparisons=comparisons)
    assert units is not None
    assert detectable_effect(units, comparisons=comparisons) <= effect
    assert detectable_effect(units - 1, comparisons=comparisons) > effect


def test_no_number_shows_what_is_not_there() -> None:
    assert units_needed(0.0) is None
    assert units_needed(-1.0) is None
    assert units_needed(np.inf) == 5


def test_more_of_anything_does_what_it_should() -> None:
    effects = [detectable_effect(units, comparisons=2) for units in range(6, 40)]
    assert effects == sorted(effects, reverse=True)
    assert detectable_effect(10, comparisons=3) > detectable_effect(10, comparisons=2)
    assert detectable_effect(10, arms=2) > detectable_effect(10)
    assert detectable_effect(10, alpha=0.01) > detectable_effect(10)


def test_what_is_no_question_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 comparisons"):
        fewest_units(comparisons=0)
    with pytest.raises(ConfigError, match="alpha 5"):
        detectable_effect(10, alpha=5)
    with pytest.raises(ConfigError, match="2000 tests share the level"):
        fewest_units(arms=2000)
