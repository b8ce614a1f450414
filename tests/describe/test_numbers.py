import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.describe.numbers import number_writer


@pytest.mark.parametrize(
    ("number", "precision", "text"),
    [
        (0.0, 3, "0"),
        (-0.0, 3, "0"),
        (-1e-300, 3, "-1e-300"),
        (0.019531, 3, "0.0195"),
        (0.2, 3, "0.2"),
        (999.6, 3, "1000"),
        (1234.5, 3, "1230"),
        (-123456.0, 2, "-120000"),
        (5e14, 3, "500000000000000"),
        (5e15, 3, "5e+15"),
        (1e-5, 3, "1e-05"),
    ],
)
def test_golden_texts(number: float, precision: int, text: str) -> None:
    assert number_writer(precision)(number) == text


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(1, 9))
def test_reads_back_to_the_precision(number: float, precision: int) -> None:
    read = float(number_writer(precision)(number))
    assert read == float(f"{number:.{precision}g}")
