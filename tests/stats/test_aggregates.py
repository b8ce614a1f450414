import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dragoman.errors import ConfigError
from dragoman.stats.aggregates import interquartile_mean, mean, median, optimality_gap
from tests.maths.tables import X, Y, scores

AGGREGATES = [mean, median, interquartile_mean, optimality_gap]

# rliable 1.2.0: metrics.aggregate_{mean,median,iqm,optimality_gap}(X) and (Y).
RLIABLE = {
    "x": (0.5472222222222222, 0.44, 0.47, 0.508888888888889),
    "y": (0.4673333333333334, 0.356, 0.37666666666666665, 0.5693333333333334),
}


@pytest.mark.parametrize(("table", "golden"), [(X, RLIABLE["x"]), (Y, RLIABLE["y"])])
def test_equal_to_rliable(table, golden) -> None:
    for aggregate, expected in zip(AGGREGATES, golden, strict=True):
        assert aggregate(table) == pytest.approx(expected, abs=1e-9)


def test_optimality_gap_to_another_target_equals_rliable() -> None:
    assert optimality_gap(X, gamma=0.5) == pytest.approx(0.1661111111111111, abs=1e-9)


def test_one_task() -> None:
    runs = [0.0, 1.0, 2.0, 3.0, 100.0]
    assert mean(runs) == pytest.approx(21.2)
    assert median(runs) == 2.0
    assert interquartile_mean(runs) == stats.trim_mean(runs, 0.25) == 2.0


@pytest.mark.parametrize("aggregate", AGGREGATES)
def test_a_stack_of_tables_gives_one_number_each(aggregate) -> None:
    stack = np.stack([X[:5], Y])
    np.testing.assert_array_equal(aggregate(stack), [aggregate(X[:5]), aggregate(Y)])


@given(scores(), st.randoms(use_true_random=False))
def test_the_order_of_runs_and_tasks_does_not_matter(table, random) -> None:
    runs, tasks = list(range(len(table))), list(range(table.shape[1]))
    random.shuffle(runs)
    random.shuffle(tasks)
    for aggregate in AGGREGATES:
        shuffled = aggregate(table[runs][:, tasks])
        np.testing.assert_allclose(shuffled, aggregate(table), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("bad", "problem"),
    [([], "holds no runs"), (3.0, "holds no runs"), ([[1.0, np.nan]], "nan at run 0, task 1")],
)
def test_what_is_no_table_is_refused(bad, problem) -> None:
    with pytest.raises(ConfigError, match=problem):
        mean(bad)
