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


@pytest.fixture
def unwarned():
    """Forget what was measured and said, before and after."""
    hardware.slowdown.cache_clear()
    hardware.warn_if_emulated.cache_clear()
    yield
    hardware.slowdown.cache_clear()
    hardware.warn_if_emulated.cache_clear()


def test_emulated_precision_is_warned_of_once_with_its_measured_factor(
    unwarned: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    seconds = {torch.float32: 0.001, torch.bfloat16: 0.0085}
    monkeypatch.setattr(hardware, "_seconds", lambda device, dtype: seconds[dtype])
    folder = str(tiny.save("llama", tmp_path))
    for dtype in ("float32", "auto"):
        load_model(folder, dtype=dtype)
    assert not caplog.records
    for _ in range(2):
        assert load_model(folder, dtype="bfloat16").dtype == torch.bfloat16
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "bfloat16 is emulated" in record.getMessage()
    assert "8.5 times as long as in float32" in record.getMessage()
    assert "write 'dtype: auto'" in record.getMessage()


@pytest.mark.parametrize("native", [True, False])
def test_a_precision_that_is_as_fast_is_not_warned_of(
    native: bool, unwarned: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    able = {"avx512_bf16": native}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)

    def measured(device: str, dtype: torch.dtype) -> float:
        assert not native, "what the processor says is not measured"
        return 0.001

    monkeypatch.setattr(hardware, "_seconds", measured)
    hardware.warn_if_emulated("cpu", "bfloat16")
    assert not caplog.records


def test_the_factor_is_measured_quickly(unwarned: None) -> None:
    started = time.perf_counter()
    assert 0.01 < hardware.slowdown("cpu", "bfloat16") < 1000
    assert time.perf_counter() - started < 5  # a tenth of a second, on a machine that is not busy
    assert hardware.slowdown("cpu", "float32") < 20


@pytest.mark.parametrize("device", ["mps", "xpu"])
def test_other_devices_do_not_answer_for_the_processor(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    assert hardware.fast_dtype(device) == "float32"


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
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_compiled_model_gives_the_same(tmp_path) -> None:
    folder = str(tiny.save("llama", tmp_path))
    plain = load_model(folder, dtype="float32")
    compiled = load_model(folder, dtype="float32", compile=True)
    texts = ["push the cart", "the pole leans 3.2 degrees to the left"]
    np.testing.assert_allclose(compiled.encode(texts), plain.encode(texts), rtol=1e-4, atol=1e-4)
    assert compiled._stack.blocks[0]._compiled_call_impl is not None
