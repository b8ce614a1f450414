"""What the machine computes best with: precision and number of threads."""

from __future__ import annotations

import functools
import logging
import os
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Literal

import torch

from dragoman.errors import ConfigError

log = logging.getLogger(__name__)

ROUNDS = 3
"""Times that each number of threads is tried."""

WORTH = 0.95
"""More threads must bring the time below this share, as they keep cores from environments."""


WORTH_SAYING = 1.2
"""A precision that is asked for by name is warned of when it is slower than float32 by this."""


def check_device(name: str) -> None:
    """Refuse a device that is not there.

    Raises:
        ConfigError: PyTorch knows no such device, or sees none on this machine.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(
            f"model.device is {name!r}, which PyTorch does not know",
            cure="write cpu, cuda, cuda:1 or mps",
        ) from None
    count = torch.cuda.device_count()
    if device.type == "cuda" and not (device.index or 0) < count:
        raise ConfigError(
            f"model.device is {name!r}, but PyTorch sees {count} CUDA devices here",
            cure="set model.device to cpu, or install a build of PyTorch for the GPU's driver",
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError(
            f"model.device is {name!r}, but PyTorch sees no Apple GPU here",
            cure="set model.device to cpu",
        )


def fast_dtype(device: str) -> Literal["float32", "bfloat16"]:
    """Return bfloat16 where the device multiplies matrices in it natively, float32 otherwise.

    Asked of the hardware rather than measured, so that one machine always answers the same.
    """
    kind = torch.device(device).type
    if kind == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if kind != "cpu":
        return "float32"  # right everywhere, and PyTorch says nothing of the others
    # PyTorch says what a processor can do since 2.8; before that, the safe answer is no.
    able: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    native = any(able.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return "bfloat16" if native else "float32"


@functools.cache
def slowdown(device: str, dtype: str) -> float:
    """Return how much longer a matrix product takes in a precision than in float32.

    Measured once a process, in about a tenth of a second where it is emulated.
    """
    plain, asked = (_seconds(device, item) for item in (torch.float32, getattr(torch, dtype)))
    return asked / plain


@functools.cache
def warn_if_emulated(device: str, dtype: str) -> None:
    """Warn, once a process, of a precision that makes this device slower than float32 would.

    Args:
        device: Where the model computes.
        dtype: The precision that was asked for by name.
    """
    if dtype == "float32" or dtype == fast_dtype(device):
        return
    factor = slowdown(device, dtype)
    if factor > WORTH_SAYING:
        log.warning(
            "%s is emulated on this device (%s): a matrix product takes %.1f times as long as in "
            "float32; write 'dtype: auto', which takes the fast precision of each machine",
            dtype,
            device,
            factor,
        )


def _seconds(device: str, dtype: torch.dtype) -> float:
    """Return the least time of a matrix product as small language models make them."""
    left, right = (torch.ones(rows, 576, dtype=dtype, device=device) for rows in (64, 1536))
    taken: list[float] = []
    for _ in range(ROUNDS + 1):  # the first warms up
        _wait(device)
        started = time.perf_counter()
        torch.nn.functional.linear(left, right)
        _wait(device)
        taken.append(time.perf_counter() - started)
    return min(taken[1:])


def _wait(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def usable_cores() -> int:
    """Return how many processor cores this process may use."""
    own = getattr(os, "sched_getaffinity", None)  # not on every platform
    return len(own(0)) if own else os.cpu_count() or 1


def choose_threads(work: Callable[[], object]) -> int:
    """Set PyTorch's number of threads to the best for this work, and return it.

    A busy machine slows many threads more than one, so the choice is measured, interleaved,
    and the smaller number is taken when it is nearly as fast.

    Args:
        work: What to measure; some milliseconds of what will be done.
    """
    most = usable_cores()
    counts: list[int] = sorted({min(2**power, most) for power in range(most.bit_length() + 1)})
    taken: dict[int, list[float]] = {count: [] for count in counts}
    for turn in range(ROUNDS + 1):
        for count in counts:
            torch.set_num_threads(count)
            started = time.perf_counter()
            work()
            if turn:  # the first round warms up
                taken[count].append(time.perf_counter() - started)
    best: int = counts[0]
    for count in counts[1:]:
        if statistics.median(taken[count]) < WORTH * statistics.median(taken[best]):
            best = count
    torch.set_num_threads(best)
    return best
