import numpy as np
import pytest

from dragoman.errors import ConfigError
from dragoman.stats.curves import Curve
from dragoman.stats.survival import Times, kaplan_meier, log_rank_p_value, steps_to_threshold

FAST = Times(np.array([3, 5, 5, 8, 10, 12, 12]), np.array([1, 1, 0, 1, 1, 0, 0]))
SLOW = Times(np.array([6, 9, 12, 12, 12, 12, 11]), np.array([1, 1, 0, 0, 0, 0, 1]))


# lifelines 0.30.3: KaplanMeierFitter().fit(steps, is_reached), its survival_function_,
# median_survival_time_, and restricted_mean_survival_time at 12 and 7.
@pytest.mark.parametrize(
    ("times", "steps", "shares", "median", "means"),
    [
        (
            FAST,
            [3, 5, 8, 10, 12],
            [6 / 7, 5 / 7, 0.5357142857142858, 0.3571428571428571, 0.3571428571428571],
            10.0,
            (8.642857142857142, 6.142857142857143),
        ),
        (
            SLOW,
            [6, 9, 11, 12],
            [6 / 7, 5 / 7, 4 / 7, 4 / 7],
            np.inf,
            (10.571428571428571, 6.857142857142858),
        ),
    ],
)
def test_kaplan_meier_equals_lifelines(times, steps, shares, median, means) -> None:
    got = kaplan_meier(times)
    np.testing.assert_array_equal(got.steps, steps)
    np.testing.assert_allclose(got.shares, shares, atol=1e-12)
    assert got.median == median
    assert got.restricted_mean(12) == pytest.approx(means[0], abs=1e-9)
    assert got.restricted_mean(7) == pytest.approx(means[1], abs=1e-9)


def test_log_rank_equals_lifelines() -> None:
    # lifelines 0.30.3: logrank_test(...).p_value.
    assert log_rank_p_value(FAST, SLOW) == pytest.approx(0.31586258394484107, abs=1e-9)
    assert log_rank_p_value(SLOW, FAST) == pytest.approx(0.31586258394484107, abs=1e-9)


def test_arms_that_nothing_tells_apart() -> None:
    never = Times(np.full(5, 100.0), np.zeros(5, bool))
    assert log_rank_p_value(never, never) == 1.0
    # Everyone arrives at the same step, or everyone of one arm is gone before.
    together = Times(np.full(3, 7.0), np.ones(3, bool))
    assert log_rank_p_value(together, together) == 1.0
    gone = Times(np.full(3, 1.0), np.zeros(3, bool))
    assert log_rank_p_value(together, gone) == 1.0
    assert kaplan_meier(never).median == np.inf
    assert kaplan_meier(never).restricted_mean(100) == 100


def test_the_median_of_products_that_round() -> None:
    # One run ends at the start, and 24 arrive one by one: 23/24 * 22/23 * ... * 12/13 is half,
    # but comes out as 0.5000000000000001.
    times = Times(np.arange(25.0), np.arange(25) > 0)
    assert kaplan_meier(times).median == 12


def test_beyond_the_last_run_nothing_is_known() -> None:
    with pytest.raises(ConfigError, match="horizon 13 lies outside the 12 steps"):
        kaplan_meier(FAST).restricted_mean(13)
    with pytest.raises(ConfigError, match="horizon 0"):
        kaplan_meier(FAST).restricted_mean(0)
    everyone = kaplan_meier(Times(np.array([2.0, 4.0]), np.ones(2, bool)))
    assert everyone.restricted_mean(100) == 3.0


def test_steps_to_threshold() -> None:
    curves = [
        Curve(np.array([10, 20, 30]), np.array([0.0, 0.5, 0.4])),
        Curve(np.array([15, 25]), np.array([0.1, 0.2])),
    ]
    times = steps_to_threshold(curves, 0.5)
    np.testing.assert_array_equal(times.steps, [20, 25])
    np.testing.assert_array_equal(times.is_reached, [True, False])


@pytest.mark.parametrize(
    ("steps", "is_reached", "problem"),
    [([], [], "do not fit"), ([1.0], [True, False], "do not fit"), ([np.inf], [False], "infinite")],
)
def test_what_are_no_times_is_refused(steps, is_reached, problem) -> None:
    with pytest.raises(ConfigError, match=problem):
        Times(np.array(steps), np.array(is_reached))
