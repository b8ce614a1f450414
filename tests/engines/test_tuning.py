"""What is checked before the first step of an update."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dragoman.engines.tuning import RatioError, first_ratio


def reader(dtype: torch.dtype) -> Any:
    return SimpleNamespace(model=SimpleNamespace(inner=SimpleNamespace(dtype=dtype)))


OLD = torch.full((64,), -14.0)


def test_in_float32_one_ratio_that_is_off_is_an_error() -> None:
    new = OLD.clone()
    new[5] += 5e-5
    assert first_ratio(reader(torch.float32), new, OLD) == pytest.approx(1.00005, abs=1e-5)
    new[7] -= 2e-4
    with pytest.raises(RatioError, match=r"0\.9998.*0\.0002.*more than 0\.0001"):
        first_ratio(reader(torch.float32), new, OLD)


def test_in_sixteen_bits_all_ratios_are_looked_at_together() -> None:
    new = OLD.clone()
    new[5] += 0.25  # of a text of ten tokens, as measured with SmolLM2-135M
    assert first_ratio(reader(torch.bfloat16), new, OLD) == pytest.approx(1.284, abs=1e-3)
    with pytest.raises(RatioError, match=r"1\.284025 times .* 0\.250000, more than 0\.2"):
        first_ratio(reader(torch.bfloat16), OLD + 0.25, OLD)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_ratio_without_a_number_is_an_error(dtype: torch.dtype) -> None:
    new = OLD.clone()
    new[5] = torch.nan
    with pytest.raises(RatioError, match="nan"):
        first_ratio(reader(dtype), new, OLD)
