"""Programs in the environments and trainings of Stable-Baselines3."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from dragoman.engines.written import WrittenVector, sb3_trainer
from dragoman.errors import ConfigError, ProgramError
from dragoman.experiment import Experiment
from dragoman.testing import ScriptedModel
from dragoman.written import Program, Search, Writer, sample_transitions, schema_of

SOURCE = """
def reward(state, action, next_state):
    return {"moved": next_state["cart_position"] - state["cart_position"], "right": 0.5 * action}

def potential(state):
    return 3 + state["pole_angle"]

def features(state):
    return {"tilt": 10 * state["pole_angle"]}
"""
EXPERIMENT = Experiment.from_dict(
    {
        "env": "CartPole-v1",
        "num_envs": 2,
        "steps": 64,
        "max_episode_steps": 12,
        "observe": None,
        "algorithm": {"settings": {"n_steps": 32, "batch_size": 32, "n_epochs": 1}},
    }
)


def program(*functions: str, source: str = SOURCE) -> Program:
    schema = schema_of(gym.make("CartPole-v1"))
    return Program.load(source, schema, functions)


def vector(written: Program, *, num_envs: int = 2, limit: int = 12, weight: float = 2.0):
    inner = SyncVectorEnv(
        [lambda: gym.make("CartPole-v1", max_episode_steps=limit) for _ in range(num_envs)],
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    return WrittenVector(inner, written, weight=weight, gamma=0.9)


def steps(env: WrittenVector, count: int):
    """Yield what each step gave, with the states before it, under one fixed policy."""
    observations, _ = env.reset(seed=5)
    for step in range(count):
        actions = np.array([1, step % 2])
        after, rewards, terminated, truncated, infos = env.step(actions)
        ended = terminated | truncated
        following = [infos["final_obs"][i] if ended[i] else after[i] for i in range(2)]
        yield observations, actions, rewards, terminated, np.array(following), ended
        observations = after


def test_terms_are_added_to_the_reward_across_resets() -> None:
    env = vector(program("reward"))
    endings = 0
    for before, actions, rewards, _, following, ended in steps(env, 30):
        moved = following[:, 0] - before[:, 0]
        np.testing.assert_allclose(rewards, 1 + 2.0 * (moved + 0.5 * actions), atol=1e-6)
        endings += ended.sum()
    assert endings >= 4
    assert {len(curve) for curve in env.curves.values()} == {endings}
    assert env.curves["environment return"] == env.curves["episode length"]
    # The first sub-environment always pushes right.
    rights, lengths = env.curves["right"], env.curves["episode length"]
    assert any(2 * right == length for right, length in zip(rights, lengths, strict=True))


def test_a_potential_is_zero_in_terminal_states_only() -> None:
    env = vector(program("potential"), limit=6, weight=1.0)
    seen = set()
    for before, _, rewards, terminated, following, ended in steps(env, 30):
        after = np.where(terminated, 0.0, 3 + following[:, 2])
        np.testing.assert_allclose(rewards, 1 + 0.9 * after - (3 + before[:, 2]), atol=1e-6)
        seen |= set(zip(terminated.tolist(), ended.tolist(), strict=True))
    assert (False, True) in seen
    long = vector(program("potential"), limit=100, weight=1.0)
    ends = [
        (1 - (3 + before[i, 2]), rewards[i])
        for before, _, rewards, terminated, _, _ in steps(long, 30)
        for i in np.flatnonzero(terminated)
    ]
    assert ends
    np.testing.assert_allclose(*zip(*ends, strict=True), atol=1e-6)


def test_features_stand_behind_the_observation() -> None:
    env = vector(program("features"))
    assert env.single_observation_space.shape == (5,)
    for before, _, rewards, _, following, _ in steps(env, 20):
        np.testing.assert_allclose(before[:, 4], 10 * before[:, 2], rtol=1e-6)
        np.testing.assert_allclose(following[:, 4], 10 * following[:, 2], rtol=1e-6)
        np.testing.assert_array_equal(rewards, 1.0)


def test_other_modes_and_spaces_are_refused() -> None:
    inner = SyncVectorEnv([lambda: gym.make("CartPole-v1")])
    with pytest.raises(ConfigError, match="resets in mode NEXT_STEP"):
        WrittenVector(inner, program("reward"), weight=1.0, gamma=0.9)
    lake = SyncVectorEnv(
        [lambda: gym.make("FrozenLake-v1")], autoreset_mode=AutoresetMode.SAME_STEP
    )
    written = Program.load(
        "def features(state):\n    return state['value']\n",
        schema_of(gym.make("FrozenLake-v1")),
        ["features"],
    )
    with pytest.raises(ConfigError, match="cannot stand behind observations in Discrete"):
        WrittenVector(lake, written, weight=1.0, gamma=0.9)


def test_a_training_gives_the_environments_own_return() -> None:
    train = sb3_trainer(EXPERIMENT, episodes=3, weight=1000.0)
    result = train(program("reward", "features"), 1)
    assert 0 < result.score <= 12
    assert set(result.curves) == {"moved", "right", "environment return", "episode length"}
    assert max(result.curves["environment return"]) <= 12
    again = train(program("reward", "features"), 1)
    assert again == result
    assert train(program("reward", "features"), 2).curves != result.curves


def test_a_program_that_fails_later_ends_the_training() -> None:
    source = (
        "def reward(state, action, next_state):\n"
        "    return 1 / max(0, 0.05 - abs(state['pole_angle']))\n"
    )
    with pytest.raises(ProgramError, match=r"line 2 .*a division by zero; with state"):
        sb3_trainer(EXPERIMENT, episodes=1)(program("reward", source=source), 0)


def test_a_search_with_real_trainings(tmp_path: Path) -> None:
    env = gym.make("CartPole-v1")
    schema = schema_of(env)
    answer = (
        "```python\ndef reward(state, action, next_state):\n"
        "    return {'upright': 1 - abs(next_state['pole_angle'])}\n```"
    )
    model = ScriptedModel(lambda text: [0.0], write=lambda prompt, seed: answer)
    search = Search(
        "balance the pole", candidates=1, rounds=2, selection_seeds=(0,), test_seeds=(1,)
    )
    train = sb3_trainer(EXPERIMENT, episodes=2)
    found = Writer(model, schema, sample_transitions(env, schema, steps=50), train, search).run(
        tmp_path
    )
    assert found.counts["trained"] == 2
    assert 0 < found.test_scores[1] <= 12
