import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.errors import ConfigError
from dragoman.stats.curves import Curve, area_under_curve, on_grid
from tests.maths.tables import NUMBERS


def test_by_hand() -> None:
    # Flat at 0 for 10 steps, up to 1 over 10, flat at 1 for 20: (0 + 5 + 20) / 40.
    curve = Curve(np.array([10, 20, 40]), np.array([0.0, 1.0, 1.0]))
    assert area_under_curve(curve, budget=40) == pytest.approx(25 / 40)
    # Cut within the rise: (0 + 5/2 * 0.5) / 15.
    assert area_under_curve(curve, budget=15) == pytest.approx(1.25 / 15)
    # The last value holds over the missing step.
    assert area_under_curve(curve, budget=41) == pytest.approx(26 / 41)


def test_a_curve_that_ends_too_early_is_refused() -> None:
    curve = Curve(np.array([0, 90]), np.array([0.0, 1.0]))
    with pytest.raises(ConfigError, match="ends at step 90 of a budget of 100"):
        area_under_curve(curve, budget=100)
    assert area_under_curve(curve, budget=100, slack=0.1) == pytest.approx(0.55)
    with pytest.raises(ConfigError, match="budget of 0 steps"):
        area_under_curve(curve, budget=0)


@given(st.lists(NUMBERS, min_size=2, max_size=6), st.integers(1, 50))
def test_denser_evaluation_of_the_same_curve_changes_nothing(values, step) -> None:
    coarse = Curve(np.arange(len(values)) * 100.0, np.array(values))
    budget = coarse.steps[-1]
    steps = np.union1d(coarse.steps, np.arange(0, budget, step))
    fine = Curve(steps, on_grid([coarse], steps)[0])
    areas = [area_under_curve(curve, budget=budget) for curve in (coarse, fine)]
    assert areas[0] == pytest.approx(areas[1], abs=1e-9)
    assert min(values) - 1e-9 <= areas[0] <= max(values) + 1e-9


def test_curves_on_different_steps_meet_on_one_grid() -> None:
    curves = [Curve(np.array([0, 10]), np.array([0, 1])), Curve(np.array([4.0]), np.array([2.0]))]
    np.testing.assert_allclose(on_grid(curves, [0, 5, 20]), [[0, 0.5, 1], [2, 2, 2]])


@pytest.mark.parametrize(
    ("steps", "values", "problem"),
    [
        ([], [], "no curve"),
        ([1, 2], [1], "no curve"),
        ([1, 2], [1, np.nan], "holds NaN"),
        ([2, 2], [1, 1], "do not increase"),
        ([-1, 2], [1, 1], "do not increase"),
    ],
)
def test_what_is_no_curve_is_refused(steps, values, problem) -> None:
    with pytest.raises(ConfigError, match=problem):
        Curve(np.array(steps, float), np.array(values, float))
