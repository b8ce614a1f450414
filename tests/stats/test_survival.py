import numpy as np
import pytest

from dragoman.stats.survival import median_time


# lifelines 0.30.3: KaplanMeierFitter().fit(times, is_reached).median_survival_time_.
@pytest.mark.parametrize(
    ("times", "is_reached", "median"),
    [
        ([3, 5, 5, 8, 10, 12, 12], [1, 1, 0, 1, 1, 0, 0], 10.0),
        ([6, 9, 12, 12, 12, 12, 11], [1, 1, 0, 0, 0, 0, 1], np.inf),
    ],
)
def test_equal_to_lifelines(times, is_reached, median) -> None:
    assert median_time(times, [bool(item) for item in is_reached]) == median


def test_all_or_none() -> None:
    assert median_time([100.0] * 5, [False] * 5) == np.inf
    assert median_time([7.0] * 3, [True] * 3) == 7.0


def test_the_median_of_products_that_round() -> None:
    # One run ends at the start, and 24 arrive one by one: 23/24 * 22/23 * ... * 12/13 is half,
    # but comes out as 0.5000000000000001.
    assert median_time(np.arange(25.0), np.arange(25) > 0) == 12
