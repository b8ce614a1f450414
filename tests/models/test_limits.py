"""Plans of a device that is made up: so many bytes, and so long for a forward and a token."""

from __future__ import annotations

import pytest
import torch

from dragoman.models.limits import FEW, MOST_TOKENS, measure


class Device:
    """A GPU whose every forward takes a fixed time and a time a token."""

    def __init__(self, memory: int, fixed: float, token: float, size: int = 1000) -> None:
        self.memory, self.fixed, self.token, self.size = memory, fixed, token, size
        self.read_last = 0

    def read(self, tokens: int) -> None:
        if tokens * self.size > self.memory:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        self.read_last = tokens

    def seconds(self, work) -> float:
        work()
        return self.fixed + self.token * self.read_last

    def peak(self, work) -> int:
        work()
        return self.read_last * self.size

    def free(self) -> int:
        return self.memory


@pytest.mark.parametrize(
    ("memory", "fixed", "token", "budget", "forward"),
    [
        (100_000_000, 0.01, 1e-6, 50_000, 10_064),  # with the tokens of a small forward
        (100_000_000, 0.0, 1e-6, 50_000, FEW),
        (10**12, 0.02, 1e-6, MOST_TOKENS, 20_064),
        (10_000_000, 0.02, 1e-6, 5_000, 5_000),  # less than one forward reads at first
        (100_000_000, 0.02, 0.0, 50_000, 50_000),
    ],
)
def test_plans_follow_memory_and_time(
    memory: int, fixed: float, token: float, budget: int, forward: int
) -> None:
    device = Device(memory, fixed, token)
    found = measure(device.read, device)
    assert found[0] == budget
    assert found[1] == pytest.approx(forward, abs=2)


def test_a_device_without_room_for_a_forward_is_an_error() -> None:
    device = Device(1000, 0.01, 1e-6)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        measure(device.read, device)
