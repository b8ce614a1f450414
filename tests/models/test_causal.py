"""The head: log-probs of wanted tokens, as exact as sixteen bits allow."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dragoman.models.causal import Head
from tests.models import tiny

ROWS = torch.arange(64).repeat_interleave(3)
TOKENS = torch.arange(len(ROWS)) % 60


def head_and_states(architecture: str) -> tuple[Head, torch.Tensor]:
    """A bfloat16 head and hidden states whose logits are tens apart."""
    model = tiny.make(architecture)
    model.transformer.to(torch.bfloat16)
    drawn = torch.randn(64, tiny.WIDTH, generator=torch.Generator().manual_seed(0))
    return Head(model.transformer, model._stack), (20 * drawn).to(torch.bfloat16)


def expected_of(head: Head, states: torch.Tensor) -> torch.Tensor:
    """The same weights and hidden states in float64."""
    logits = states.double() @ head._linear.weight.double().T
    return torch.log_softmax(head._capped(logits), dim=1)[ROWS, TOKENS]


def between(log_probs: torch.Tensor) -> torch.Tensor:
    """The differences from the first of the three tokens of each row."""
    each = log_probs.view(-1, 3)
    return each - each[:, :1]


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "gemma2"])
def test_wanted_logits_do_not_round_to_sixteen_bits(architecture: str) -> None:
    head, states = head_and_states(architecture)
    expected = expected_of(head, states)
    rounded = torch.log_softmax(head.logits(states), dim=1)[ROWS, TOKENS]
    result = head.log_probs(states, ROWS, TOKENS)
    assert result.dtype == torch.float32
    assert result.max() <= 1e-5
    # What tokens after one state differ by, whatever its normalisation rounds to.
    torch.testing.assert_close(between(result), between(expected).float(), rtol=1e-4, atol=1e-4)
    assert (between(rounded) - between(expected)).abs().max() > 0.01


@pytest.mark.parametrize("architecture", ["llama", "gemma2"])
def test_their_gradients_are_those_of_the_exact_log_probs(architecture: str) -> None:
    head, states = head_and_states(architecture)
    ours, exact = (states.clone().requires_grad_() for _ in range(2))
    head.log_probs(ours, ROWS, TOKENS).sum().backward()
    expected_of(head, exact).sum().backward()
    size = exact.grad.norm()
    assert size > 0
    assert (ours.grad - exact.grad).norm() < 0.02 * size


def test_in_parts_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    head, states = head_and_states("llama")
    whole = head.log_probs(states, ROWS, TOKENS).detach().numpy()
    monkeypatch.setattr("dragoman.models.causal.LOGIT_ROWS", 7)
    with torch.inference_mode():
        order = np.random.default_rng(0).permutation(len(ROWS))
        parts = np.empty_like(whole)
        parts[order] = head.in_parts(states, ROWS[order].tolist(), TOKENS[order].tolist()).numpy()
    # Products of fewer rows may round otherwise.
    assert abs(parts - whole).mean() < 0.02
