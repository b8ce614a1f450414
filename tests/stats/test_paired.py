import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dragoman.errors import ConfigError
from dragoman.stats import paired
from dragoman.stats.aggregates import interquartile_mean, mean
from dragoman.stats.paired import (
    paired_difference,
    sign_flip_p_value,
    smallest_p_value,
    swap_p_value,
)
from tests.maths.tables import NUMBERS

DIFFERENCES = np.array([0.3, -0.1, 0.2, 0.5, 0.05, 0.2, -0.02])
# scipy 1.17.1: permutation_test((d,), mean, permutation_type="samples", n_resamples=inf).
SCIPY = {"greater": 0.046875, "less": 0.9609375, "two-sided": 0.09375}


def seeded(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(("alternative", "golden"), SCIPY.items())
def test_equal_to_scipy(alternative, golden) -> None:
    assert sign_flip_p_value(DIFFERENCES, alternative=alternative) == golden
    y = seeded(1).normal(size=7)
    swapped = swap_p_value(y + DIFFERENCES, y, mean, alternative=alternative)
    assert swapped == golden


@pytest.mark.parametrize("seeds", [1, 5, 10, 16])
def test_the_floor(seeds) -> None:
    gains = np.linspace(0.1, 0.2, seeds)
    assert sign_flip_p_value(gains) == smallest_p_value(seeds) == 2.0**-seeds
    assert sign_flip_p_value(-gains) == 1.0


def test_drawn_signs_have_a_floor_too() -> None:
    assert sign_flip_p_value(np.ones(40), generator=seeded()) == smallest_p_value(40) == 1 / 20_000


def test_drawn_signs_come_near_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = seeded().normal(0.4, 1.0, size=(5, 12))
    exact = sign_flip_p_value(rows)
    monkeypatch.setattr(paired, "EXACT", 4)
    np.testing.assert_allclose(sign_flip_p_value(rows, generator=seeded(1)), exact, atol=0.015)


def test_differences_of_zero_are_no_evidence() -> None:
    for alternative in SCIPY:
        assert sign_flip_p_value(np.zeros(6), alternative=alternative) == 1.0


def test_ties_survive_rounding() -> None:
    # 0.1 + 0.2 - 0.3 is not zero in binary, but the patterns tie.
    assert sign_flip_p_value([0.1, 0.2, 0.3]) == 1 / 8
    assert sign_flip_p_value([0.1, 0.2, -0.3]) == 5 / 8
    assert sign_flip_p_value([0.1, 0.2, -0.3], alternative="two-sided") == 1.0


@pytest.mark.parametrize("shape", ["normal", "skewed", "success"])
@pytest.mark.parametrize("seeds", [5, 8, 12])
def test_exchangeable_arms_are_told_apart_no_more_often_than_asked(shape, seeds) -> None:
    def draw(size):
        if shape == "normal":
            return seeded(1).normal(size=size)
        if shape == "skewed":
            return seeded(1).exponential(size=size)
        return np.where(seeded(1).random(size) < 0.3, 0.9, 0.1) + seeded(2).normal(0, 0.05, size)

    x, y = draw((2, 20_000, seeds))
    p = sign_flip_p_value(x - y)
    for alpha in (0.01, 0.05, 0.2):
        level = np.floor(alpha * 2**seeds) / 2**seeds
        error = 4 * np.sqrt(level * (1 - level) / 20_000)
        assert (p <= alpha).mean() == pytest.approx(level, abs=error)


@given(st.lists(NUMBERS, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_order_does_not_matter_and_sides_mirror(differences, random) -> None:
    p = sign_flip_p_value(differences)
    assert smallest_p_value(len(differences)) <= p <= 1
    assert sign_flip_p_value(np.negative(differences), alternative="less") == p
    shuffled = list(differences)
    random.shuffle(shuffled)
    assert sign_flip_p_value(shuffled) == p


@settings(max_examples=50)
@given(st.lists(NUMBERS, min_size=2, max_size=7), st.floats(0, 10, width=16))
def test_a_larger_gain_is_never_less_evidence(differences, gain) -> None:
    assert sign_flip_p_value(np.add(differences, gain)) <= sign_flip_p_value(differences)


def test_rows_are_tested_alone_and_chunks_change_nothing(monkeypatch) -> None:
    rows = seeded().normal(size=(3, 4, 6))
    p = sign_flip_p_value(rows)
    assert p.shape == (3, 4)
    assert p[1, 2] == sign_flip_p_value(rows[1, 2])
    swapped = swap_p_value(rows[0, 0], rows[0, 1], interquartile_mean)
    monkeypatch.setattr(paired, "CHUNK", 100)
    np.testing.assert_array_equal(sign_flip_p_value(rows), p)
    assert swap_p_value(rows[0, 0], rows[0, 1], interquartile_mean) == swapped


def test_interquartile_means_are_told_apart_by_swaps() -> None:
    x, y = seeded(0).normal(0.3, 0.3, 10), seeded(1).normal(0.0, 0.3, 10)
    expected = stats.permutation_test(
        (x, y),
        lambda x, y, axis: (
            stats.trim_mean(x, 0.25, axis=axis) - stats.trim_mean(y, 0.25, axis=axis)
        ),
        permutation_type="samples",
        vectorized=True,
        alternative="greater",
        n_resamples=np.inf,
    ).pvalue
    got = paired_difference(
        x,
        y,
        statistic=interquartile_mean,
        alternative="greater",
        generator=seeded(),
        resamples=2000,
    )
    assert got.p_value == pytest.approx(expected, abs=1e-12)
    assert got.interval.estimate == interquartile_mean(x) - interquartile_mean(y)
    assert got.interval.low < got.interval.estimate < got.interval.high


def test_only_the_mean_cancels_what_both_owe_to_a_seed() -> None:
    luck = seeded(0).normal(0, 10.0, 8)
    x, y = luck + 0.5 + seeded(1).normal(0, 0.3, 8), luck
    assert sign_flip_p_value(x - y) == sign_flip_p_value(x - luck - (y - luck)) < 0.02
    assert swap_p_value(x, y, interquartile_mean) > 0.05


def test_the_mean_of_paired_runs_on_two_tasks() -> None:
    y = seeded().normal(size=(4, 2))
    got = paired_difference(y + 0.5, y, alternative="greater", generator=seeded(), resamples=200)
    assert got.p_value == 2.0**-8
    assert got.interval.low == pytest.approx(0.5)
    assert got.interval.high == pytest.approx(0.5)


def test_what_is_no_pair_is_refused() -> None:
    with pytest.raises(ConfigError, match="no pairs of runs"):
        paired_difference([1.0, 2.0], [1.0], generator=seeded())
    with pytest.raises(ConfigError, match="empty, or hold NaN"):
        sign_flip_p_value([])
    with pytest.raises(ConfigError, match="empty, or hold NaN"):
        sign_flip_p_value([1.0, np.nan])
    with pytest.raises(ConfigError, match="17 differences are too many"):
        sign_flip_p_value(np.ones(17))
