import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.errors import ConfigError
from dragoman.stats import paired
from dragoman.stats.paired import holm, holm_levels, sign_flip_p_value, smallest_p_value
from tests.maths.score_tables import NUMBERS

DIFFERENCES = np.array([0.3, -0.1, 0.2, 0.5, 0.05, 0.2, -0.02])


def seeded(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_equal_to_scipy() -> None:
    # scipy 1.17.1: permutation_test((d,), mean, permutation_type="samples", n_resamples=inf,
    # alternative="greater").
    assert sign_flip_p_value(DIFFERENCES) == 0.046875
    assert sign_flip_p_value(-DIFFERENCES) == 0.9609375


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
    assert sign_flip_p_value(np.zeros(6)) == 1.0


def test_ties_survive_rounding() -> None:
    # 0.1 + 0.2 - 0.3 is not zero in binary, but the patterns tie.
    assert sign_flip_p_value([0.1, 0.2, 0.3]) == 1 / 8
    assert sign_flip_p_value([0.1, 0.2, -0.3]) == 5 / 8


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
def test_order_does_not_matter(differences, random) -> None:
    p = sign_flip_p_value(differences)
    assert smallest_p_value(len(differences)) <= p <= 1
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
    monkeypatch.setattr(paired, "CHUNK", 100)
    np.testing.assert_array_equal(sign_flip_p_value(rows), p)


def test_what_are_no_differences_is_refused() -> None:
    with pytest.raises(ConfigError, match="empty, or hold NaN"):
        sign_flip_p_value([])
    with pytest.raises(ConfigError, match="empty, or hold NaN"):
        sign_flip_p_value([1.0, np.nan])
    with pytest.raises(ConfigError, match="17 differences are too many"):
        sign_flip_p_value(np.ones(17))


# statsmodels 0.15.0: multipletests(p, method="holm")[1].
@pytest.mark.parametrize(
    ("p", "golden"),
    [
        ([0.01, 0.04, 0.03, 0.005, 0.2, 0.04], [0.05, 0.12, 0.12, 0.03, 0.2, 0.12]),
        ([0.5, 0.001, 0.9, 0.02], [1.0, 0.004, 1.0, 0.06]),
        ([0.04], [0.04]),
        ([], []),
    ],
)
def test_holm_equals_statsmodels(p, golden) -> None:
    np.testing.assert_allclose(holm(p), golden, atol=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.01, 0.5))
def test_all_are_rejected_just_where_the_sorted_ones_meet_their_levels(p, alpha) -> None:
    adjusted = holm(p)
    assert np.all(adjusted >= p)
    # Divided on one side and multiplied on the other, so not at the very edge.
    margin = 1e-9
    meets = np.sort(p) - holm_levels(len(p), alpha)
    if np.abs(meets).min() > margin:
        assert bool((adjusted <= alpha).all()) == bool((meets <= 0).all())


@pytest.mark.parametrize("bad", [[1.5], [-0.1], [np.nan], [[0.1]]])
def test_what_is_no_p_value_is_refused(bad) -> None:
    with pytest.raises(ConfigError, match="one row of p-values"):
        holm(bad)
