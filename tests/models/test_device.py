from __future__ import annotations

import numpy as np
import pytest
import torch

from dragoman.models.device import bring


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ([2, 0, 1], torch.long),
        ([], torch.long),
        (np.array([2, 0, 1], np.int32), torch.int32),
        (torch.tensor([0.5]), torch.float32),
    ],
)
def test_numbers_keep_their_kind_and_indices_are_integers(given, kind: torch.dtype) -> None:
    found = bring(given, torch.device("cpu"))
    assert found.dtype == kind
    assert found.tolist() == (given if isinstance(given, list) else given.tolist())


def test_a_gpu_is_given_pinned_memory_that_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []

    def pin(tensor):
        asked.append("pinned")
        return tensor

    def to(tensor, device, non_blocking=False):
        asked.append((device.type, non_blocking))
        return tensor

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    monkeypatch.setattr(torch.Tensor, "to", to)
    bring([1, 2], torch.device("cuda"))
    assert asked == ["pinned", ("cuda", True)]
