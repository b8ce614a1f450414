from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.distributions import Categorical

from dragoman.roles.explore.mixture import advantages, importance, mixed, weighed


def drawn(seed: int, count: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(count, generator=generator, dtype=torch.float64)
    return torch.log_softmax(logits, -1)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_the_mixture_is_a_distribution_whose_weights_have_mean_one_and_a_bound(
    share: float,
) -> None:
    policy, prior = drawn(0), drawn(1)
    behaviour = mixed(policy, prior, share).exp()
    np.testing.assert_allclose(
        behaviour, (1 - share) * policy.exp() + share * prior.exp(), rtol=1e-12
    )
    assert float(behaviour.sum()) == pytest.approx(1)
    weights = importance(policy, prior, share)
    assert float((behaviour * weights).sum()) == pytest.approx(1)
    assert float(weights.max()) <= 1 / (1 - share) + 1e-12
    # Expectations under the policy, whatever they are of.
    values = torch.arange(6.0, dtype=torch.float64)
    estimated = float((behaviour * weights * values).sum())
    assert estimated == pytest.approx(float((policy.exp() * values).sum()))


def test_the_bound_is_reached_where_the_prior_never_goes() -> None:
    policy, prior = torch.tensor([0.5, 0.5]).log(), torch.tensor([0.0, 1.0]).log()
    weights = importance(policy, prior, 0.75)
    np.testing.assert_allclose(weights, [4.0, 0.5 / (0.125 + 0.75)], rtol=1e-6)
    # An action that the policy never takes weighs nothing.
    assert importance(prior, policy, 0.75).tolist()[0] == 0.0


def test_the_gradient_of_a_loss_is_that_of_the_weighted_loss() -> None:
    old, gain, weights = drawn(2), torch.linspace(-1, 1, 6), torch.rand(6)

    def clipped(log_probs: torch.Tensor) -> torch.Tensor:
        ratio = (log_probs - old).exp()
        return torch.min(gain * ratio, gain * ratio.clamp(0.8, 1.2))

    found, wanted = (drawn(3).requires_grad_() for _ in range(2))
    result = weighed(found, weights)
    assert torch.equal(result, found)
    clipped(result).sum().backward()
    (weights * clipped(wanted)).sum().backward()
    torch.testing.assert_close(found.grad, wanted.grad)


def test_advantages_are_those_of_the_policy_though_another_one_has_played() -> None:
    """Two steps of two actions, enumerated: the mean over play by μ is the value under π."""
    share, discount = 0.4, 0.9
    policy = torch.tensor([[0.2, 0.8], [0.7, 0.3]]).log()
    prior = torch.tensor([[0.9, 0.1], [0.5, 0.5]]).log()
    pay = torch.tensor([[1.0, 0.0], [0.0, 3.0]])
    behaviour, weights = mixed(policy, prior, share).exp(), importance(policy, prior, share)
    second = float((policy[1].exp() * pay[1]).sum())
    values = torch.tensor([0.3, -0.2])
    found = 0.0
    for first in range(2):
        expected = float(pay[0, first]) + discount * second - 0.3
        mean = 0.0
        for then in range(2):
            result = advantages(
                torch.stack([pay[0, first], pay[1, then]]).unsqueeze(1),
                values.unsqueeze(1),
                torch.zeros(1),
                torch.tensor([[1.0], [0.0]]),
                torch.stack([weights[0, first], weights[1, then]]).unsqueeze(1),
                discount,
                1.0,
            )
            mean += float(behaviour[1, then] * result[0, 0])
        # With λ of 1 values are gone: r + γ Q under π, less the value here.
        assert mean == pytest.approx(expected, abs=1e-6)
        found += float(behaviour[0, first] * weights[0, first]) * mean
    of_policy = float((policy[0].exp() * pay[0]).sum()) + discount * second
    assert found == pytest.approx(of_policy - 0.3, abs=1e-6)


def test_without_a_prior_they_are_generalised_advantages() -> None:
    generator = torch.Generator().manual_seed(0)
    rewards, values = torch.rand(5, 3, generator=generator), torch.rand(5, 3, generator=generator)
    after, goes_on = torch.rand(3, generator=generator), torch.ones(5, 3)
    goes_on[2, 1] = 0.0
    found = advantages(rewards, values, after, goes_on, torch.ones(5, 3), 0.9, 0.8)
    following = torch.cat([values[1:], after[None]])
    delta = rewards + 0.9 * goes_on * following - values
    for t in range(5):
        for i in range(3):
            expected, factor = 0.0, 1.0
            for later in range(t, 5):
                expected += factor * float(delta[later, i])
                factor *= 0.72 * float(goes_on[later, i])
            assert float(found[t, i]) == pytest.approx(expected, rel=1e-5)


def test_a_policy_drawn_from_is_not_touched_by_no_share() -> None:
    policy = drawn(0)
    assert mixed(policy, drawn(1), 0.0) is policy
    assert Categorical(logits=mixed(policy, drawn(1), 0.3)).probs.sum() == pytest.approx(1)
