import numpy as np
import pytest

from dragoman.maths.moments import Moments


def test_batches_of_any_size_give_the_moments_of_all_rows() -> None:
    rows = np.random.default_rng(0).normal(5.0, 3.0, size=(100, 4))
    moments = Moments.empty(4)
    for batch in np.split(rows, [1, 2, 40, 40, 99]):
        moments = moments.merge(batch)
    assert moments.count == 100
    np.testing.assert_allclose(moments.mean, rows.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.variance, rows.var(axis=0), rtol=1e-12)


def test_precision_survives_a_mean_far_from_zero() -> None:
    rows = 1e8 + np.array([[0.0], [1.0], [2.0]])
    moments = Moments.empty(1).merge(rows[:1]).merge(rows[1:])
    np.testing.assert_allclose(moments.variance, [2 / 3], rtol=1e-6)


def test_standardise_by_hand() -> None:
    moments = Moments.empty(1).merge(np.array([[1.0], [3.0]]))
    got = moments.standardise(np.array([[2.0], [4.0], [1000.0]]), clip=10.0, epsilon=0.0)
    np.testing.assert_array_equal(got, np.array([[0.0], [2.0], [10.0]], np.float32))


def test_a_batch_of_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(B, 2\), not \(1, 3\)"):
        Moments.empty(2).merge(np.zeros((1, 3)))
