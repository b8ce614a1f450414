from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dragoman.errors import ConfigError
from dragoman.maths.shaping import Schedule, shaping


@dataclass(frozen=True)
class Tabular:
    """A finite process; the last state is terminal.

    P: (S, A, S) probabilities. R: (S, A, S) rewards. gamma: discount.
    """

    P: np.ndarray
    R: np.ndarray
    gamma: float

    @classmethod
    def random(cls, seed: int, states: int, actions: int, gamma: float) -> Tabular:
        rng = np.random.default_rng(seed)
        # Sparse, so that states differ in what can be reached from them.
        P = rng.random((states, actions, states)) * (rng.random((states, actions, states)) < 0.6)
        P[..., 0] += 1e-3
        P /= P.sum(axis=2, keepdims=True)
        return cls(P, rng.normal(size=(states, actions, states)), gamma)

    def with_reward(self, added: np.ndarray) -> Tabular:
        return Tabular(self.P, self.R + added, self.gamma)

    def values(self) -> np.ndarray:
        """Return the optimal action values (S - 1, A), by policy iteration and exact solves."""
        S = len(self.P)
        n = S - 1
        expected = (self.P * self.R).sum(axis=2)[:n]
        policy = np.zeros(n, dtype=np.int64)
        for _ in range(1000):
            rows = np.arange(n)
            own = self.P[rows, policy][:, :n]
            value = np.linalg.solve(np.eye(n) - self.gamma * own, expected[rows, policy])
            q = expected + self.gamma * self.P[:n, :, :n] @ value
            better = q.argmax(axis=1)
            improves = q[rows, better] > q[rows, policy] + 1e-10
            if not improves.any():
                return q
            policy = np.where(improves, better, policy)
        raise AssertionError("policy iteration did not end")


def shaped(mdp: Tabular, potential: np.ndarray, gamma: float | None = None) -> Tabular:
    S, A, _ = mdp.P.shape
    is_terminal = np.arange(S) == S - 1
    added = np.stack(
        [
            shaping(
                np.full(S, potential[s]),
                potential,
                is_terminal,
                mdp.gamma if gamma is None else gamma,
            )
            for s in range(S)
        ]
    )
    return mdp.with_reward(np.repeat(added[:, None], A, axis=1))


processes = st.builds(
    Tabular.random,
    seed=st.integers(0, 2**32 - 1),
    states=st.integers(3, 8),
    actions=st.integers(2, 4),
    gamma=st.floats(0.3, 0.99),
)


@settings(max_examples=150, deadline=None)
@given(mdp=processes, data=st.data())
def test_shaping_never_changes_the_optimal_policy(mdp: Tabular, data: st.DataObject) -> None:
    potential = data.draw(arrays(np.float64, len(mdp.P), elements=st.floats(-50, 50)))
    q, q_shaped = mdp.values(), shaped(mdp, potential).values()
    # Theorem 1: action values move by the potential of their state, so their order stays.
    np.testing.assert_allclose(q_shaped, q - potential[:-1, None], atol=1e-6)
    best = q.max(axis=1)
    chosen = q[np.arange(len(q)), q_shaped.argmax(axis=1)]
    np.testing.assert_allclose(chosen, best, atol=1e-6)


def corridor(gamma: float = 0.9) -> Tabular:
    """Start 0, two states beside the goal 3: action 0 goes on, action 1 stays."""
    P, R = np.zeros((4, 2, 4)), np.zeros((4, 2, 4))
    for s in range(4):
        P[s, 0, min(s + 1, 3)] = 1.0
        P[s, 1, s] = 1.0
    R[2, 0, 3] = 1.0
    return Tabular(P, R, gamma)


NEARNESS = np.array([0.0, 0.5, 0.9, 1.0])


def test_a_plain_bonus_can_change_the_optimal_policy() -> None:
    mdp = corridor()
    assert mdp.values().argmax(axis=1).tolist() == [0, 0, 0]
    farmed = mdp.with_reward(np.broadcast_to(NEARNESS, mdp.R.shape))
    # Standing beside the goal pays for ever; reaching it ends that.
    assert farmed.values().argmax(axis=1).tolist() == [0, 0, 1]
    assert shaped(mdp, NEARNESS).values().argmax(axis=1).tolist() == [0, 0, 0]


def test_another_discount_than_the_learners_changes_it() -> None:
    mdp = corridor(gamma=0.5)
    potential = np.array([10.0, 10.0, 10.0, 0.0])
    assert shaped(mdp, potential).values().argmax(axis=1).tolist() == [0, 0, 0]
    assert shaped(mdp, potential, gamma=1.0).values().argmax(axis=1).tolist() != [0, 0, 0]


def test_a_potential_of_the_terminal_state_would_change_it() -> None:
    mdp = corridor()
    potential = np.array([0.0, 0.0, 0.0, -5.0])
    S = len(potential)
    kept = np.stack(
        [shaping(np.full(S, item), potential, np.zeros(S, bool), 0.9) for item in potential]
    )
    wrong = mdp.with_reward(np.repeat(kept[:, None], 2, axis=1))
    assert wrong.values().argmax(axis=1).tolist()[2] == 1
    assert shaped(mdp, potential).values().argmax(axis=1).tolist() == [0, 0, 0]


@given(
    potentials=st.lists(st.floats(-10, 10), min_size=2, max_size=30),
    gamma=st.floats(0.5, 1.0),
    terminal=st.booleans(),
)
def test_it_telescopes(potentials: list[float], gamma: float, terminal: bool) -> None:
    phi = np.array(potentials)
    ends = np.zeros(len(phi) - 1, dtype=bool)
    ends[-1] = terminal
    discounts = gamma ** np.arange(len(phi) - 1)
    total = float((discounts * shaping(phi[:-1], phi[1:], ends, gamma)).sum())
    last = 0.0 if terminal else phi[-1]
    assert total == pytest.approx(gamma ** (len(phi) - 1) * last - phi[0], abs=1e-7)


def test_a_schedule_moves_and_then_stays() -> None:
    weight = Schedule(start=2.0, end=1.0, steps=100)
    assert [weight.at(step) for step in (0, 25, 100, 5000)] == [2.0, 1.75, 1.0, 1.0]
    with pytest.raises(ConfigError, match="steps of a schedule is 0"):
        Schedule(1.0, 0.0, 0)
