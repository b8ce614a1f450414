import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.errors import ConfigError
from dragoman.stats.multiplicity import holm, holm_levels


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
def test_equal_to_statsmodels(p, golden) -> None:
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
