from __future__ import annotations

import math

import pytest
import torch

from dragoman.roles.act.masked import MaskedCategorical


def test_ragged_rows_by_hand() -> None:
    logits = torch.tensor([[math.log(1.0), math.log(3.0), 9.0], [0.0, 50.0, 0.0]])
    valid = torch.tensor([[True, True, False], [True, False, True]])
    choice = MaskedCategorical(logits, valid)
    expected = torch.tensor([[0.25, 0.75, 0.0], [0.5, 0.0, 0.5]])
    torch.testing.assert_close(choice.probs, expected)
    entropies = [-(0.25 * math.log(0.25) + 0.75 * math.log(0.75)), math.log(2)]
    torch.testing.assert_close(choice.entropy(), torch.tensor(entropies))
    log_probs = choice.log_prob(torch.tensor([1, 0]))
    torch.testing.assert_close(log_probs, torch.tensor([math.log(0.75), math.log(0.5)]))
    assert choice.log_prob(torch.tensor([2, 1])).tolist() == [-math.inf, -math.inf]
    assert choice.mode.tolist() == [1, 0]


def test_inadmissible_actions_are_never_drawn() -> None:
    torch.manual_seed(0)
    valid = torch.rand(50, 7) > 0.6
    valid[:, 3] = True
    drawn = MaskedCategorical(torch.randn(50, 7), valid).sample((200,))
    assert valid.expand(200, -1, -1).gather(2, drawn.unsqueeze(-1)).all()


def test_gradients_are_finite_and_stop_at_the_mask() -> None:
    logits = torch.tensor([[1.0, -2.0, 30.0], [0.5, 0.1, 0.2], [4.0, 5.0, 6.0]], requires_grad=True)
    valid = torch.tensor([[True, True, False], [False, True, False], [False, False, False]])
    choice = MaskedCategorical(logits, valid)
    (choice.log_prob(torch.tensor([0, 1, 2])) + choice.entropy()).sum().backward()
    assert logits.grad.isfinite().all()
    assert (logits.grad[~valid] == 0).all()
    assert (logits.grad[0, :2] != 0).all()
    # Of plain numbers: the two probabilities of row 0 by their definition.
    free = torch.tensor([1.0, -2.0], requires_grad=True)
    log_probs = torch.log_softmax(free, 0)
    (log_probs[0] - (log_probs.exp() * log_probs).sum()).backward()
    torch.testing.assert_close(logits.grad[0, :2], free.grad)


def test_where_nothing_is_admissible_nobody_acts() -> None:
    choice = MaskedCategorical(torch.tensor([[3.0, 1.0]]), torch.tensor([[False, False]]))
    assert choice.probs.tolist() == [[0.5, 0.5]]
    assert choice.entropy().item() == pytest.approx(math.log(2))
