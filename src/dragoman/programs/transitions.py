"""Transitions on which a program is tried before it trains anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dragoman.programs.program import FUNCTIONS, Row
from dragoman.programs.schema import Quantity, Schema

SPREAD = 3.0
"""States beyond the visited ones lie this many standard deviations around them."""


@dataclass(frozen=True)
class Transitions:
    """States, actions and what followed, as numbers.

    Attributes:
        states: ``(M, D)`` numbers of states, in the order of the schema.
        actions: ``(M, A)`` numbers of actions.
        next_states: ``(M, D)`` numbers of the states after them.
        is_plain_action: Whether an action is one number, not a mapping.
    """

    states: NDArray[np.float64]
    actions: NDArray[np.float64]
    next_states: NDArray[np.float64]
    is_plain_action: bool

    def rows(self, function: str) -> list[Row]:
        """Return the arguments of a function, once a transition."""
        actions: list[Any] = self.actions.tolist()
        if self.is_plain_action:
            actions = [numbers[0] for numbers in actions]
        columns = {
            "state": self.states.tolist(),
            "action": actions,
            "next_state": self.next_states.tolist(),
        }
        return list(zip(*(columns[name] for name in FUNCTIONS[function]), strict=True))


def sample_transitions(
    env: gym.Env[Any, Any], schema: Schema, *, steps: int = 500, seed: int = 0
) -> Transitions:
    """Return transitions of the uniformly random policy, and as many around them.

    The second half is what training may still lead to: each number of a state moved by
    `SPREAD` standard deviations on average, within its bounds. Whole numbers are those of other
    transitions instead.

    Args:
        env: The environment; it is reset and stepped.
        schema: What a program sees of it.
        steps: How many steps to take.
        seed: Seed of environment and actions.
    """
    env.action_space.seed(seed)
    visited: list[tuple[list[float], list[float], list[float]]] = []
    observation, _ = env.reset(seed=seed)
    for _ in range(steps):
        action = env.action_space.sample()
        # Read before the step: some environments write into the array that they have given.
        state = schema.read_state(observation)
        observation, _, terminated, truncated, _ = env.step(action)
        visited.append((state, schema.read_action(action), schema.read_state(observation)))
        if terminated or truncated:
            observation, _ = env.reset()
    states, actions, next_states = (np.array(column) for column in zip(*visited, strict=True))
    rng = np.random.default_rng(seed)
    return Transitions(
        np.concatenate([states, _around(states, schema.state, rng)]),
        np.concatenate([actions, actions[rng.permutation(steps)]]),
        np.concatenate([next_states, _around(next_states, schema.state, rng)]),
        not schema.action,
    )


def _around(
    states: NDArray[np.float64], quantities: Sequence[Quantity], rng: np.random.Generator
) -> NDArray[np.float64]:
    moved = states + SPREAD * states.std(axis=0) * rng.standard_normal(states.shape)
    for column, quantity in enumerate(quantities):
        if quantity.whole:
            moved[:, column] = rng.permutation(states[:, column])
    lows = [quantity.low for quantity in quantities]
    highs = [quantity.high for quantity in quantities]
    clipped: NDArray[np.float64] = np.clip(moved, lows, highs)
    return clipped
