"""The optimal policy of Gymnasium's environments that publish their transition table.

FrozenLake, CliffWalking and Taxi hold ``P[state][action] = [(probability, next state, reward,
terminated), ...]`` and their state in ``s``, which is all that value iteration needs (Puterman,
Markov decision processes, 1994, section 6.3).
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

GAMMA = 0.9999
"""Almost undiscounted, and still a contraction where an episode need not end."""

TOLERANCE = 1e-9

_plans: WeakKeyDictionary[gym.Env[Any, Any], NDArray[np.int64]] = WeakKeyDictionary()


def optimal(env: gym.Env[Any, Any]) -> int:
    """Return the action that earns most from the state that the environment is in."""
    world: Any = env.unwrapped
    if world not in _plans:
        _plans[world] = plan(world.P)
    return int(_plans[world][int(world.s)])


def plan(table: dict[int, dict[int, list[tuple[float, int, float, bool]]]]) -> NDArray[np.int64]:
    """Return the best action of each state, int64 ``(S,)``, by value iteration.

    Args:
        table: Transitions by state and action.
    """
    states, actions = len(table), len(table[0])
    moves = np.zeros((states, actions, states))
    rewards = np.zeros((states, actions))
    for state, choices in table.items():
        for action, outcomes in choices.items():
            for probability, after, reward, terminated in outcomes:
                rewards[state, action] += probability * reward
                moves[state, action, after] += 0.0 if terminated else probability
    values = np.zeros(states)
    while True:
        returns = rewards + GAMMA * moves @ values
        best = returns.max(axis=1)
        if np.abs(best - values).max() < TOLERANCE:
            return np.asarray(returns.argmax(axis=1), np.int64)
        values = best
