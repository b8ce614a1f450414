"""Two tasks that uniform play hardly gets through, and a learner that knows no reward but a bonus.

The best play of both is known: to the right on the chain; key, door, goal on the grid.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from dragoman.describe.moment import MomentMaker
from dragoman.describe.vector import MomentVector
from dragoman.models.cache import CachedModel
from dragoman.roles.explore.settings import Explore
from dragoman.roles.role import Context, Models
from dragoman.testing import ScriptedModel

COPIES = 4
GAMMA, LAMBDA, RATE = 0.95, 0.9, 0.2
"""Of the learner."""


class Told:
    """Says a state in words, as (names of numbers, numbers)."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def observation(self, observation: Any, info: Any) -> str:
        pairs = zip(self.names, np.atleast_1d(observation), strict=True)
        return ", ".join(f"{name} {int(number)}" for name, number in pairs)

    def action(self, action: Any) -> str:
        return f"action {action}"


class Chain(gym.Env[Any, Any]):
    """Rooms in a row, from the first of which the last is reached by going right only."""

    length = 14
    plays = 1000
    told = Told("room")
    observation_space = gym.spaces.Discrete(length)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.at, self.taken = 0, 0
        return self.at, {}

    def step(self, action: int) -> Any:
        self.at = min(max(self.at + (1 if action else -1), 0), self.length - 1)
        self.taken += 1
        is_goal = self.at == self.length - 1
        return self.at, float(is_goal), False, self.taken == 2 * self.length, {}


class KeyDoor(gym.Env[Any, Any]):
    """Two rooms of a grid: the key lies in a corner of the one, the goal behind its door."""

    side = 3
    plays = 2500
    door = 1, 4
    told = Told("row", "column", "key")
    observation_space = gym.spaces.MultiDiscrete([side, 2 * side + 1, 2])
    action_space = gym.spaces.Discrete(4)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.at, self.has_key, self.taken = (0, 2), False, 0
        return self._seen(), {}

    def step(self, action: int) -> Any:
        down, right = ((0, 1), (1, 0), (0, -1), (-1, 0))[action]
        row, column = self.at[0] + down, self.at[1] + right
        if self._is_free(row, column):
            self.at = row, column
        self.has_key = self.has_key or self.at == (self.side - 1, 0)
        self.taken += 1
        is_goal = self.at == (self.side - 1, 2 * self.side)
        return self._seen(), float(is_goal), False, self.taken == 50, {}

    def _is_free(self, row: int, column: int) -> bool:
        if column == self.door[1]:
            return row == self.door[0] and self.has_key
        return 0 <= row < self.side and 0 <= column <= 2 * self.side

    def _seen(self) -> Any:
        return np.array([*self.at, self.has_key])


class UnpaidChain(Chain):
    """Pays so little that a visit of the end is counted, and nothing can be learnt from it."""

    def step(self, action: int) -> Any:
        observation, reward, *rest = super().step(action)
        return observation, 1e-12 * reward, *rest


class UnpaidKeyDoor(KeyDoor):
    """The same of the grid."""

    def step(self, action: int) -> Any:
        observation, reward, *rest = super().step(action)
        return observation, 1e-12 * reward, *rest


def best_action(text: str) -> int:
    """Return what the best play does in a state of either task."""
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    if len(numbers) == 1:
        return 1
    row, column, has_key = numbers
    right, down, left, up = range(4)
    if not has_key:
        return left if column else down
    if column < KeyDoor.door[1]:
        return down if row < 1 else up if row > 1 else right
    return right if column < 2 * KeyDoor.side else down


def knowing(prompt: str, text: str) -> list[float]:
    """Return log-probs by which a scripted model knows the best action, and what lies far."""
    if prompt.endswith("situation to go on from:"):
        numbers = [int(number) for number in re.findall(r"\d+", text)]
        return [float(numbers[0] if len(numbers) == 1 else numbers[1] + 10 * numbers[2])]
    state = prompt.split("\n")[0]
    if not re.search(r"\d", state):
        return [-1.0]
    return [0.0 if text == f" action {best_action(state)}" else -2.0]


def prior_model(log_probs: Any = knowing) -> CachedModel:
    """Return a scripted model that scores."""
    return CachedModel(ScriptedModel(one_hot, hidden_size=128, log_probs=log_probs))


def noisy_prior_model() -> CachedModel:
    """Return a model whose scores say nothing, and something else each time."""
    random = np.random.default_rng(0)
    noise = ScriptedModel(
        one_hot, hidden_size=128, log_probs=lambda prompt, text: [random.normal()]
    )
    return CachedModel(noise, budget_bytes=0)


def goal_features(text: str) -> np.ndarray:
    """Return one-hot features of each name with its number, added up."""
    result = np.zeros(128)
    for name, number in re.findall(r"(room|row|column|key) (\d+)", text):
        result[("room", "row", "column", "key").index(name) * 32 + int(number)] = 1.0
    return result


def goal_model() -> CachedModel:
    """Return a scripted model that proposes what lies on the way to the goal."""
    rooms = [f"room {number}" for number in range(1, Chain.length)]
    grid = ["key 1", "column 4", "column 5", "column 6"]

    def write(prompt: str, seed: int) -> str:
        return "\n".join(grid if "action 3" in prompt else rooms)

    return CachedModel(ScriptedModel(goal_features, hidden_size=128, write=write))


def one_hot(text: str) -> np.ndarray:
    """Return features by which a scripted model tells the states apart, as one that reads does."""
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    result = np.zeros(128)
    result[numbers[0] if len(numbers) == 1 else np.dot(numbers, (22, 2, 1))] = 1.0
    return result


def noisy_model() -> CachedModel:
    """Return a model that answers anew each time, and remembers nothing."""
    random = np.random.default_rng(0)
    return CachedModel(
        ScriptedModel(lambda text: random.normal(size=128), hidden_size=128), budget_bytes=0
    )


def reading_model() -> CachedModel:
    return CachedModel(ScriptedModel(one_hot, hidden_size=128))


def visits(
    kind: type[Chain] | type[KeyDoor],
    explore: Explore | None,
    model: CachedModel | None = None,
    *,
    seed: int = 0,
) -> int:
    """Return in how many episodes the goal is reached by a learner that is paid the bonus alone.

    Without a role it plays uniformly.
    """
    env = MomentVector(
        SyncVectorEnv([kind] * COPIES, autoreset_mode=AutoresetMode.SAME_STEP),
        MomentMaker(lambda: kind.told, kind.action_space),
    )
    if explore is not None:
        env = explore.wrap(env, Context(Models(model, seed), env.make, 0.95))
    learner = Learner(int(kind.action_space.n), seed)
    observations, _ = env.reset(seed=seed)
    goals, is_there = 0, np.zeros(COPIES, bool)
    for _ in range(kind.plays):
        states = [str(observation) for observation in observations]
        actions = learner.act(states)
        observations, rewards, _, done, infos = env.step(actions)
        paid = infos.get("explore/bonus", np.zeros(COPIES))
        is_there |= rewards - paid > 0.5
        goals += int((is_there & done).sum())
        is_there &= ~done
        if explore is not None:
            learner.learn(states, actions, paid, done)
    return goals


class Learner:
    """Actor and critic in tables, updated at the end of each episode by estimated advantages."""

    def __init__(self, actions: int, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.logits: defaultdict[str, np.ndarray] = defaultdict(lambda: np.zeros(actions))
        self.values: defaultdict[str, float] = defaultdict(float)
        self.steps: list[list[Any]] = [[] for _ in range(COPIES)]
        self.square = 0.0

    def act(self, states: list[str]) -> np.ndarray:
        logits = np.stack([self.logits[state] for state in states])
        # The Gumbel-max trick draws from the softmax.
        return (logits + self.random.gumbel(size=logits.shape)).argmax(1)

    def learn(
        self, states: list[str], actions: np.ndarray, paid: np.ndarray, done: np.ndarray
    ) -> None:
        for i, step in enumerate(zip(states, actions, paid, strict=True)):
            self.steps[i].append(step)
            if done[i]:
                self._update(self.steps[i])
                self.steps[i] = []

    def _update(self, steps: list[Any]) -> None:
        # The time limit is no end: beyond it lies about what lay here.
        after, advantage = self.values[steps[-1][0]], 0.0
        for state, action, paid in reversed(steps):
            advantage = paid + GAMMA * after - self.values[state] + GAMMA * LAMBDA * advantage
            after = self.values[state]
            self.values[state] += 0.2 * advantage
            self.square += 0.01 * (advantage**2 - self.square)
            chances = np.exp(self.logits[state] - self.logits[state].max())
            step = RATE * advantage / max(self.square, 1e-9) ** 0.5
            self.logits[state] -= step * chances / chances.sum()
            self.logits[state][action] += step


def ChainTold() -> Told:
    """Return the describer of the chain."""
    return Chain.told


def KeyDoorTold() -> Told:
    """Return the describer of the grid."""
    return KeyDoor.told
