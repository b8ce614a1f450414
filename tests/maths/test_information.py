from __future__ import annotations

import numpy as np
import pytest

from dragoman.maths.information import information


def test_texts_that_say_nothing_of_their_prompts_have_nothing_in_common_with_them() -> None:
    same = np.log(np.repeat([[0.5], [0.1], [0.4]], 3, axis=1))
    entropy, common = information(same)
    assert common == pytest.approx(0.0, abs=1e-12)
    assert entropy == pytest.approx(-np.log([0.5, 0.1, 0.4]).mean())


def test_texts_that_name_their_prompts_say_all() -> None:
    apart = np.full((4, 4), -1000.0)
    np.fill_diagonal(apart, 0.0)
    assert information(apart) == pytest.approx((0.0, np.log(4)))
