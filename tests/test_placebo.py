"""The placebo trap: a reward that knows nothing helps, and the verdict must not fall for it.

Tabular Q-learning on FrozenLake 8x8 without slip. A constant potential says nothing about the task.
Yet its shaping takes a little at every step, which makes the zeros that Q starts from optimistic,
and optimism explores: against no shaping at all it looks like knowledge.
"""

from __future__ import annotations

import functools

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dragoman.comparison.scores import Scores
from dragoman.comparison.verdict import judge

SEEDS = tuple(range(10))
EPISODES, LIMIT = 400, 100
GAMMA, RATE, EPSILON = 0.99, 0.5, 0.1
GOAL = 63
RANDOM_SUCCESS = 0.002  # of the uniformly random policy within the time limit


@functools.cache
def lake() -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return next state, reward and termination, each ``(states, actions)``."""
    env = gym.make("FrozenLake-v1", map_name="8x8", is_slippery=False)
    table = env.unwrapped.P
    moves = [[table[state][action][0] for action in range(4)] for state in range(64)]
    env.close()
    following, rewards, ends = (
        np.array([[move[k] for move in row] for row in moves]) for k in (1, 2, 3)
    )
    return following, rewards, ends


def success(seed: int, potential: NDArray[np.float64] | None) -> float:
    """Return the share of training episodes that reach the goal."""
    following, rewards, ends = lake()
    generator = np.random.default_rng(seed)
    shaped = rewards.astype(float)
    if potential is not None:
        # F = gamma Phi(s') - Phi(s), and nothing is left to gain at an end.
        shaped = shaped + GAMMA * np.where(ends, 0.0, potential[following]) - potential[:, None]
    q, reached = np.zeros((64, 4)), 0
    for _ in range(EPISODES):
        state = 0
        explores = generator.random(LIMIT) < EPSILON
        ties = generator.random((LIMIT, 4))
        for step in range(LIMIT):
            # Ties are broken at random, or the agent would walk into one wall for ever.
            best = q[state] == q[state].max()
            action = int(np.argmax(ties[step] * (1.0 if explores[step] else best)))
            after, end = following[state, action], ends[state, action]
            target = shaped[state, action] + (0.0 if end else GAMMA * q[after].max())
            q[state, action] += RATE * (target - q[state, action])
            state = after
            if end:
                reached += state == GOAL
                break
    return reached / EPISODES


def arm(name: str, level: float | None) -> Scores:
    potential = None if level is None else np.full(64, level)
    return Scores(name, SEEDS, np.array([success(seed, potential) for seed in SEEDS]))


def test_a_constant_potential_helps_against_nothing_and_is_not_called_help() -> None:
    nothing, judge_arm, constant = arm("no model", None), arm("judge", 0.7), arm("constant", 0.5)
    (trapped,) = judge([(judge_arm, nothing)], random=RANDOM_SUCCESS, best=1.0)
    assert trapped.outcome == "helped"  # the trap is real: nothing known, much gained
    assert trapped.comparisons[0].difference.low > 0.1
    (verdict,) = judge([(judge_arm, nothing, constant)], random=RANDOM_SUCCESS, best=1.0)
    assert verdict.outcome == "no evidence"
    assert "'constant'" in verdict.reason
