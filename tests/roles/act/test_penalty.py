from __future__ import annotations

import math

import pytest
import torch

from dragoman.roles.act.masked import MaskedCategorical
from dragoman.roles.act.penalty import divergence, with_penalty


def test_divergence_by_hand() -> None:
    valid = torch.tensor([[True, True, False]])
    ours = MaskedCategorical(torch.tensor([[0.0, 0.0, 7.0]], requires_grad=True), valid)
    theirs = MaskedCategorical(torch.tensor([[math.log(3.0), 0.0, -7.0]]), valid)
    result = divergence(ours, theirs)
    expected = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    assert result.tolist() == pytest.approx([expected])
    assert divergence(theirs, theirs).item() == 0
    result.sum().backward()


@pytest.mark.parametrize("scale", [0.0, 3.0])
def test_its_gradient_joins_any_loss_once(scale: float) -> None:
    weight = torch.tensor([1.0, 2.0], requires_grad=True)
    penalty = 5 * weight.square().sum()
    values = with_penalty(weight * 1.0, penalty)
    assert torch.equal(values, weight)
    (scale * values.sum()).backward()
    torch.testing.assert_close(weight.grad, scale + 10 * weight.detach())
