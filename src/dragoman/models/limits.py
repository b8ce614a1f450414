"""What a GPU takes at once, and what one more forward costs there, measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

import torch

FEW, MANY = 64, 32_768
"""Tokens of the two forwards that are compared."""

MEMORY_SHARE = 0.5
"""Share of the free memory that a batch may take; logits, graphs and others' work take more."""

MOST_TOKENS = 131_072
"""No batch needs more to keep a GPU busy."""


class Gauge(Protocol):
    """Measures work on a device."""

    def seconds(self, work: Callable[[], object]) -> float:
        """Return how long work takes."""
        ...

    def peak(self, work: Callable[[], object]) -> int:
        """Return the bytes that work needs at most at a time."""
        ...

    def free(self) -> int:
        """Return the bytes that are free."""
        ...


def measure(read: Callable[[int], object], gauge: Gauge) -> tuple[int, int]:
    """Return how many tokens a forward may take, and what it costs beside them, in tokens.

    Args:
        read: Runs a forward of so many tokens.
        gauge: Measures it.

    Raises:
        torch.cuda.OutOfMemoryError: Not even a small forward fits.
    """
    budget, many = fit(read, gauge)
    short, long = gauge.seconds(partial(read, FEW)), gauge.seconds(partial(read, many))
    token = (long - short) / (many - FEW)
    # Where many tokens take no longer than few, a batch is worth filling whatever it costs.
    return budget, min(int(short / token), budget) if token > 0 else budget


def fit(read: Callable[[int], object], gauge: Gauge) -> tuple[int, int]:
    """Return how many tokens may be read at a time, and by how many that was measured.

    Args:
        read: Reads so many tokens.
        gauge: Measures it.

    Raises:
        torch.cuda.OutOfMemoryError: Not even a few tokens fit.
    """
    many, size = MANY, 0
    while not size:
        try:
            size = gauge.peak(partial(read, many))
        except torch.cuda.OutOfMemoryError:
            if many <= 2 * FEW:
                raise
            many //= 2
    return min(max(int(MEMORY_SHARE * gauge.free() * many / size), 1), MOST_TOKENS), many


class CudaGauge:
    """Measures a GPU.

    Args:
        device: The GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def seconds(self, work: Callable[[], object]) -> float:
        """Return the least time of three; the first warms up."""
        taken = []
        for _ in range(4):
            torch.cuda.synchronize(self._device)
            started = time.perf_counter()
            work()
            torch.cuda.synchronize(self._device)
            taken.append(time.perf_counter() - started)
        return min(taken[1:])

    def peak(self, work: Callable[[], object]) -> int:
        """Return the most bytes above those that were taken before."""
        torch.cuda.reset_peak_memory_stats(self._device)
        before = torch.cuda.memory_allocated(self._device)
        work()
        return torch.cuda.max_memory_allocated(self._device) - before

    def free(self) -> int:
        """Return what the device has left, and what PyTorch holds without using it."""
        held = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
        return torch.cuda.mem_get_info(self._device)[0] + held
