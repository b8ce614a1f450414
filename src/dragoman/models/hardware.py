"""What the machine computes best with: precision and number of threads."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Literal

import torch

ROUNDS = 3
"""Times that each number of threads is tried."""

WORTH = 0.95
"""More threads must bring the time below this share, as they keep cores from environments."""


def fast_dtype(device: str) -> Literal["float32", "bfloat16"]:
    """Return bfloat16 where the device multiplies matrices in it natively, float32 otherwise.

    Asked of the hardware rather than measured, so that one machine always answers the same.
    """
    if torch.device(device).type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    # PyTorch tells what a processor can do since 2.8; before that, the safe answer is no.
    able: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    native = any(able.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return "bfloat16" if native else "float32"


def choose_threads(work: Callable[[], object]) -> int:
    """Set PyTorch's number of threads to the best for this work, and return it.

    A busy machine slows many threads more than one, so the choice is measured, interleaved,
    and the smaller number is taken when it is nearly as fast.

    Args:
        work: What to measure; some milliseconds of what will be done.
    """
    own = getattr(os, "sched_getaffinity", None)  # not on every platform
    most: int = len(own(0)) if own else os.cpu_count() or 1
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
