import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dragoman.errors import ConfigError
from dragoman.stats.improvement import probability_of_improvement
from tests.maths.tables import X, Y, scores


def test_equal_to_rliable() -> None:
    # rliable 1.2.0: metrics.probability_of_improvement(X, Y) and (Y, X).
    assert probability_of_improvement(X, Y) == pytest.approx(0.6222222222222222, abs=1e-9)
    assert probability_of_improvement(Y, X) == pytest.approx(0.37777777777777777, abs=1e-9)


def test_one_task_is_the_mann_whitney_statistic() -> None:
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


def test_a_stack() -> None:
    stack = np.stack([X, X + 1e3])
    np.testing.assert_allclose(probability_of_improvement(stack, Y[None]), [0.6222222222, 1.0])


def test_other_tasks_are_refused() -> None:
    with pytest.raises(ConfigError, match="x has 3 tasks and y has 1"):
        probability_of_improvement(X, Y[:, 0])
