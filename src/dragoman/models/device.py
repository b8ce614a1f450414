"""Numbers from the host to where a model computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def bring(numbers: Tensor | np.ndarray[Any, Any] | Sequence[int], device: torch.device) -> Tensor:
    """Return numbers on a device, without waiting for what it does.

    A GPU takes a copy from pinned memory when it comes to it, while the host goes on. From other
    memory, the host would wait until all forwards before the copy are done.
    """
    if isinstance(numbers, Tensor):
        tensor = numbers
    elif isinstance(numbers, np.ndarray):
        tensor = torch.from_numpy(numbers)
    else:
        tensor = torch.tensor(numbers, dtype=torch.long)  # of none, too
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
