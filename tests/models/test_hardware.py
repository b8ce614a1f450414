from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from dragoman.models import hardware
from dragoman.models.catalog import load_model
from tests.models import tiny


@pytest.fixture(autouse=True)
def same_threads_afterwards():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("able", "expected"),
    [
        ({"avx512_bf16": True}, "bfloat16"),
        ({"avx512_bf16": False, "amx_bf16": True}, "bfloat16"),
        ({"avx512_f": True, "avx512_bf16": False}, "float32"),
        ({}, "float32"),
    ],
)
def test_half_precision_only_where_the_processor_has_it(
    able: dict, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    assert hardware.fast_dtype("cpu") == expected
    assert load_model(str(tiny.save("llama", tmp_path))).dtype == getattr(torch, expected)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [({1: 0.01, 2: 0.004}, 2), ({1: 0.01, 2: 0.03}, 1), ({1: 0.01, 2: 0.0099}, 1)],
)
def test_threads_that_pay(seconds: dict, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1}, raising=False)
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def work() -> None:
        now[0] += seconds[torch.get_num_threads()]

    assert hardware.choose_threads(work) == expected
    assert torch.get_num_threads() == expected


def test_a_model_measures_its_own_threads() -> None:
    model = tiny.make("llama")
    assert model.choose_threads() == torch.get_num_threads() >= 1
    assert model.cost.tokens == 0


# Torch's own compiler still uses what torch has deprecated.
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_compiled_model_gives_the_same(tmp_path) -> None:
    folder = str(tiny.save("llama", tmp_path))
    plain = load_model(folder, dtype="float32")
    compiled = load_model(folder, dtype="float32", compile=True)
    texts = ["push the cart", "the pole leans 3.2 degrees to the left"]
    np.testing.assert_allclose(compiled.encode(texts), plain.encode(texts), rtol=1e-4, atol=1e-4)
    assert compiled._stack.blocks[0]._compiled_call_impl is not None
