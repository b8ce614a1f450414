import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dragoman.errors import ConfigError
from dragoman.stats import bootstrap
from dragoman.stats.aggregates import interquartile_mean, mean, probability_of_improvement
from dragoman.stats.bootstrap import Interval, bootstrap_interval, number
from tests.maths.score_tables import X, Y, scores


def seeded(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def ends(interval: Interval) -> tuple[float, float]:
    return interval.low, interval.high


class RliableDraws:
    """Draws the rows that rliable draws after ``np.random.seed(7)``."""

    def __init__(self) -> None:
        self.random = np.random.RandomState(7)

    def integers(self, low, high, shape):
        return np.stack([self.random.choice(high, shape[1:]) for _ in range(shape[0])])


# rliable 1.2.0: np.random.seed(7); get_interval_estimates({"x": X}, func, reps=2000), with func
# of aggregate_mean and aggregate_iqm.
@pytest.mark.parametrize(
    ("statistic", "low", "high"),
    [
        (mean, 0.4716527777777778, 0.62),
        (interquartile_mean, 0.396, 0.5670249999999999),
    ],
)
def test_percentile_interval_equals_rliable_on_its_resamples(statistic, low, high) -> None:
    got = bootstrap_interval(
        X, statistic=statistic, generator=RliableDraws(), method="percentile", resamples=2000
    )
    assert ends(got) == pytest.approx((low, high), abs=1e-9)
    assert got.estimate == statistic(X)


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize(
    ("statistic", "theirs"),
    [(mean, np.mean), (interquartile_mean, lambda x, axis: stats.trim_mean(x, 0.25, axis=axis))],
)
def test_one_task_equals_scipy_on_the_same_resamples(statistic, theirs, method) -> None:
    # Multiples of 1/64, so that sums in any order are equal and ties are ties.
    runs = np.round(seeded(3).gamma(1.0, 1.0, 10) * 64) / 64
    options = {"method": method, "confidence_level": 0.9, "n_resamples": 5000}
    expected = stats.bootstrap(
        (runs,), theirs, rng=seeded(5), vectorized=True, **options
    ).confidence_interval
    got = bootstrap_interval(
        runs, statistic=statistic, generator=seeded(5), method=method, level=0.9, resamples=5000
    )
    assert ends(got) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("paired", [False, True])
def test_two_samples_equal_scipy_on_the_same_resamples(paired) -> None:
    # Eight runs of multiples of 1/64: the means are exact.
    x, y = (np.round(seeded(seed).gamma(1.0, 1.0, 8) * 64) / 64 for seed in (1, 2))

    def difference(x, y, axis):
        return x.mean(axis=axis) - y.mean(axis=axis)

    expected = stats.bootstrap(
        (x, y), difference, rng=seeded(5), n_resamples=5000, paired=paired, vectorized=True
    ).confidence_interval
    got = bootstrap_interval(
        x,
        y,
        statistic=lambda x, y: mean(x) - mean(y),
        generator=seeded(5),
        paired=paired,
        resamples=5000,
    )
    assert ends(got) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_acceleration_of_a_stratified_mean_is_the_skewness_of_its_strata() -> None:
    # The jackknife influence of run r of task t on the mean over T tasks is (x_rt - mean_t)/T.
    influence = (X - X.mean(axis=0)) / X.shape[1]
    n = len(X)
    expected = (influence**3).sum() / n**3 / (6 * ((influence**2).sum() / n**2) ** 1.5)
    assert bootstrap._acceleration([X], mean, False) == pytest.approx(expected, rel=1e-9)


def test_probability_of_improvement_of_unequal_samples() -> None:
    # rliable 1.2.0, percentile interval of 5000 resamples of its own: [0.4167, 0.8111].
    got = bootstrap_interval(
        X,
        Y,
        statistic=probability_of_improvement,
        generator=seeded(),
        method="percentile",
    )
    assert got.estimate == pytest.approx(0.6222222222222222, abs=1e-9)
    assert ends(got) == pytest.approx((0.4167, 0.8111), abs=0.02)


def test_a_bca_interval_of_skewed_scores_covers_more_often_than_a_percentile_one() -> None:
    covered = {"bca": 0, "percentile": 0}
    for repetition in range(400):
        runs = seeded(repetition).exponential(1.0, 12)
        for method in covered:
            got = bootstrap_interval(
                runs, statistic=mean, generator=seeded(repetition), method=method, resamples=1000
            )
            covered[method] += got.low <= 1 <= got.high
    assert covered["percentile"] < covered["bca"]
    assert 0.88 * 400 <= covered["bca"] <= 0.97 * 400


def test_pairing_takes_the_seeds_out_of_a_difference() -> None:
    luck = seeded(1).normal(size=10)
    x, y = luck + 0.5 + seeded(2).normal(0, 0.01, 10), luck

    def difference(x, y):
        return mean(x) - mean(y)

    paired = bootstrap_interval(x, y, statistic=difference, generator=seeded(), paired=True)
    apart = bootstrap_interval(x, y, statistic=difference, generator=seeded())
    assert apart.high - apart.low > 20 * (paired.high - paired.low)
    assert paired.low < 0.5 < paired.high


@pytest.mark.parametrize("method", ["percentile", "bca"])
class TestDegenerate:
    def test_equal_scores_have_no_width(self, method) -> None:
        got = bootstrap_interval(
            [0.1] * 7, statistic=mean, generator=seeded(), method=method, resamples=500
        )
        assert got == Interval(got.estimate, got.estimate, got.estimate)
        assert got.estimate == pytest.approx(0.1)

    def test_one_run_says_nothing(self, method) -> None:
        got = bootstrap_interval([[0.5, 0.7]], statistic=mean, generator=seeded(), method=method)
        assert (got.estimate, *ends(got)) == (0.6, -np.inf, np.inf)

    def test_an_estimate_outside_all_resamples_is_no_nan(self, method) -> None:
        # The largest of distinct runs, once more than any resample can be.
        got = bootstrap_interval(
            [1.0, 2.0, 4.0],
            statistic=lambda x: x.max(axis=(-2, -1)) + (x.std(axis=(-2, -1)) == np.std([1, 2, 4])),
            generator=seeded(2),
            method=method,
            resamples=3,
        )
        assert np.isfinite(ends(got)).all()


def test_past_the_pole_the_quantile_goes_to_its_end() -> None:
    shares = bootstrap._adjusted(np.array([0.025, 0.975]), stats.norm.cdf(1.0), 0.5)
    assert shares[1] == 1.0
    assert 0 < shares[0] < 1


@settings(max_examples=50)
@given(scores(), st.floats(-50, 50, width=16))
def test_shifted_scores_have_a_shifted_interval(table, shift) -> None:
    def interval(table):
        return bootstrap_interval(table, statistic=mean, generator=seeded(), resamples=200)

    here, there = interval(table), interval(table + shift)
    np.testing.assert_allclose(np.add(ends(here), shift), ends(there), atol=1e-8)


@settings(max_examples=50)
@given(scores())
def test_a_percentile_interval_of_a_mean_holds_it(table) -> None:
    got = bootstrap_interval(
        table, statistic=mean, generator=seeded(), method="percentile", resamples=500
    )
    assert got.low - 1e-9 <= got.estimate <= got.high + 1e-9
    assert table.min() - 1e-9 <= got.low


def test_chunks_draw_what_one_piece_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bootstrap_interval(X, statistic=mean, generator=seeded(), resamples=1000)
    monkeypatch.setattr(bootstrap, "CHUNK", 7 * X.size)
    assert bootstrap_interval(X, statistic=mean, generator=seeded(), resamples=1000) == whole


def test_fifty_thousand_resamples_of_ten_seeds_take_a_moment() -> None:
    runs = seeded().normal(size=10)
    start = time.process_time()
    bootstrap_interval(runs, statistic=mean, generator=seeded(), resamples=50_000)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    ("samples", "options", "problem"),
    [
        ((), {}, "shapes"),
        ((X[None],), {}, "shapes"),
        ((X, X[:, :2]), {}, "do not fit together"),
        ((X, Y), {"paired": True}, "do not fit together"),
        ((X,), {"method": "basic"}, "no interval method 'basic'"),
        ((X,), {"level": 95}, "level 95 is no probability"),
        ((X,), {"resamples": 0}, "0 resamples"),
    ],
)
def test_what_has_no_interval_is_refused(samples, options, problem) -> None:
    with pytest.raises(ConfigError, match=problem):
        bootstrap_interval(*samples, statistic=mean, generator=seeded(), **options)


def test_an_interval_prints_briefly() -> None:
    assert str(Interval(0.7123, 0.64, 0.78)) == "0.712 [0.64, 0.78]"
    assert str(Interval(-1234.5, -2345.6, 0.5)) == "-1,234 [-2,346, 0.5]"
    # One run says nothing of the spread.
    assert str(Interval(0.5, -np.inf, np.inf)) == "0.5"
    assert Interval.from_json({"estimate": 1, "low": None, "high": None, "level": 0.95}) == (
        Interval(1, -np.inf, np.inf)
    )
    assert [number(value) for value in (999.4, 999.6, 12.34)] == ["999", "1,000", "12.3"]
