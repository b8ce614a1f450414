import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dragoman.errors import ConfigError
from dragoman.stats.aggregates import interquartile_mean, mean, probability_of_improvement
from tests.maths.score_tables import X, Y, scores

AGGREGATES = [mean, interquartile_mean]

# rliable 1.2.0: metrics.aggregate_{mean,iqm}(X) and (Y).
RLIABLE = {
    "x": (0.5472222222222222, 0.47),
    "y": (0.4673333333333334, 0.37666666666666665),
}


@pytest.mark.parametrize(("table", "golden"), [(X, RLIABLE["x"]), (Y, RLIABLE["y"])])
def test_aggregates_equal_rliable(table, golden) -> None:
    for aggregate, expected in zip(AGGREGATES, golden, strict=True):
        assert aggregate(table) == pytest.approx(expected, abs=1e-9)


def test_aggregates_of_one_task() -> None:
    runs = [0.0, 1.0, 2.0, 3.0, 100.0]
    assert mean(runs) == pytest.approx(21.2)
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


def test_improvement_equals_rliable() -> None:
    # rliable 1.2.0: metrics.probability_of_improvement(X, Y) and (Y, X).
    assert probability_of_improvement(X, Y) == pytest.approx(0.6222222222222222, abs=1e-9)
    assert probability_of_improvement(Y, X) == pytest.approx(0.37777777777777777, abs=1e-9)


def test_improvement_on_one_task_is_the_mann_whitney_statistic() -> None:
    x, y = X[:, 0], Y[:, 0]
    expected = stats.mannwhitneyu(x, y).statistic / (len(x) * len(y))
    assert probability_of_improvement(x, y) == pytest.approx(expected)


@given(scores(tasks=(2, 2)), scores(tasks=(2, 2)), st.randoms(use_true_random=False))
def test_both_sides_add_up_and_order_does_not_matter(x, y, random) -> None:
    p = probability_of_improvement(x, y)
    assert 0 <= p <= 1
    assert p + probability_of_improvement(y, x) == pytest.approx(1)
    runs = list(range(len(x)))
    random.shuffle(runs)
    assert probability_of_improvement(x[runs], y) == p
    assert probability_of_improvement(x, x) == 0.5


def test_improvement_of_a_stack() -> None:
    stack = np.stack([X, X + 1e3])
    np.testing.assert_allclose(probability_of_improvement(stack, Y[None]), [0.6222222222, 1.0])


def test_improvement_on_other_tasks_is_refused() -> None:
    with pytest.raises(ConfigError, match="x has 3 tasks and y has 1"):
        probability_of_improvement(X, Y[:, 0])
