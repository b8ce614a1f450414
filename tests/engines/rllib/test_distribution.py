from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.distributions import Bernoulli, Categorical, Normal

from dragoman.engines.rllib.distribution import Drawing, Drawings
from dragoman.roles.act.masked import MaskedCategorical


def one() -> Any:
    return Categorical(logits=torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]]))


KINDS = {
    "choice": (one, (), [1, 0]),
    "choices": (lambda: [one(), Categorical(logits=torch.tensor([[0.0, 1.0]] * 2))], (2,),
                [[1, 1], [0, 1]]),
    "bits": (lambda: Bernoulli(logits=torch.tensor([[2.0, -2.0], [-1.0, 1.0]])), (2,),
             [[1.0, 0.0], [0.0, 1.0]]),
    "numbers": (lambda: Normal(torch.tensor([[0.5], [1.5]]), torch.ones(2, 1)), (1,),
                [[0.5], [1.5]]),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_parts_of_an_action_are_summed(kind: str) -> None:
    make, shape, mode = KINDS[kind]
    drawing = Drawing(make())
    actions = drawing.sample()
    assert actions.shape == (2, *shape)
    parts = make() if isinstance(make(), list) else [make()]
    columns = actions.unbind(1) if kind == "choices" else [actions]
    log_probs = [
        part.log_prob(own).reshape(2, -1) for part, own in zip(parts, columns, strict=True)
    ]
    torch.testing.assert_close(drawing.logp(actions), torch.cat(log_probs, 1).sum(1))
    entropies = torch.cat([part.entropy().reshape(2, -1) for part in parts], 1).sum(1)
    torch.testing.assert_close(drawing.entropy(), entropies)
    torch.testing.assert_close(drawing.kl(Drawing(make())), torch.zeros(2))
    assert drawing.mode().tolist() == mode
    likeliest = drawing.to_deterministic()
    assert likeliest.sample().tolist() == mode
    assert likeliest.logp(likeliest.sample()).tolist() == [0.0, 0.0]


def test_actions_that_are_not_valid_diverge_by_nothing() -> None:
    def masked(*logits: float) -> MaskedCategorical:
        mask = torch.tensor([[True, True, False]])
        return MaskedCategorical(torch.tensor([logits]), mask)

    made = Drawings(lambda inputs: masked(*inputs[0].tolist()))
    ours = made.from_logits(torch.tensor([[0.0, 0.0, 9.0]]))
    other = made.from_logits(torch.tensor([[0.0, 1.0, -9.0]]))
    expected = torch.distributions.kl_divergence(
        Categorical(logits=torch.zeros(1, 2)), Categorical(logits=torch.tensor([[0.0, 1.0]]))
    )
    torch.testing.assert_close(ours.kl(other), expected)
