"""Programs in the environments and trainings of Stable-Baselines3."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from dragoman.agents.programs import WrittenTerms, program_trainer, with_features
from dragoman.errors import ConfigError, ProgramError
from dragoman.experiment import Experiment
from dragoman.maths.shaping import shaping
from dragoman.programs import (
    Program,
    Sandbox,
    Schema,
    Search,
    Writer,
    sample_transitions,
    schema_of,
)
from dragoman.testing import ScriptedModel

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


@pytest.fixture
def program():
    """Return what loads functions of a program."""
    schema = schema_of(gym.make("CartPole-v1"))

    def load(*functions: str, source: str = SOURCE, schema: Schema = schema) -> Program:
        return Program.load(source, schema, functions, sandbox=sandbox)

    with Sandbox() as sandbox:
        yield load


def vector(written: Program, *, num_envs: int = 2, limit: int = 12, weight: float = 2.0):
    """Return a vector environment with the program's terms on its rewards."""
    inner = SyncVectorEnv(
        [lambda: gym.make("CartPole-v1", max_episode_steps=limit) for _ in range(num_envs)],
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    terms = WrittenTerms(written)
    rewards = terms.added(inner, weight, 0.9) if terms.made else inner
    return with_features(rewards, written)[0]


def steps(env: VectorEnv, count: int):
    """Yield what each step gave, with the states before it, under one fixed policy."""
    observations, _ = env.reset(seed=5)
    for step in range(count):
        actions = np.array([1, step % 2])
        after, rewards, terminated, truncated, infos = env.step(actions)
        ended = terminated | truncated
        following = [infos["final_obs"][i] if ended[i] else after[i] for i in range(2)]
        yield observations, actions, rewards, terminated, np.array(following), ended
        observations = after


def test_terms_are_added_to_the_reward_across_resets(program) -> None:
    env = vector(program("reward"))
    endings = 0
    for before, actions, rewards, _, following, ended in steps(env, 30):
        moved = following[:, 0] - before[:, 0]
        np.testing.assert_allclose(rewards, 1 + 2.0 * (moved + 0.5 * actions), atol=1e-6)
        endings += ended.sum()
    assert endings >= 4
    finished = list(env.drain())
    assert len(finished) == endings
    # The first sub-environment always pushes right: 2 * 0.5 a step, as much as CartPole gives.
    assert any(own["reward/reward-1"] == own["reward/env"] for own in finished)


def test_the_program_runs_once_a_step(program) -> None:
    written = program("reward")
    asked = []
    run = written.session.run

    def counting(code, inputs):
        asked.append(len(inputs["numbers"]) // 9)
        return run(code, inputs)

    env = vector(written)
    written.session.run = counting
    assert sum(1 for _ in steps(env, 20)) == 20
    assert asked == [2] * 20


def test_a_potential_is_zero_in_terminal_states_only(program) -> None:
    seen = set()
    for limit in (6, 100):
        env = vector(program("potential"), limit=limit, weight=1.0)
        for before, _, rewards, terminated, following, ended in steps(env, 30):
            added = shaping(3 + before[:, 2], 3 + following[:, 2], terminated, 0.9)
            np.testing.assert_allclose(rewards, 1 + added, atol=1e-6)
            seen |= set(zip(terminated.tolist(), ended.tolist(), strict=True))
    assert seen == {(False, False), (False, True), (True, True)}


def test_features_stand_behind_the_observation(program) -> None:
    env = vector(program("features"))
    assert env.single_observation_space.shape == (5,)
    for before, _, rewards, _, following, _ in steps(env, 20):
        np.testing.assert_allclose(before[:, 4], 10 * before[:, 2], rtol=1e-6)
        np.testing.assert_allclose(following[:, 4], 10 * following[:, 2], rtol=1e-6)
        np.testing.assert_array_equal(rewards, 1.0)


def test_features_stand_behind_what_is_no_list_of_numbers_too(program) -> None:
    lake = gym.make("FrozenLake-v1", is_slippery=False)
    source = "def features(state):\n    return {'row': state['value'] // 4}\n"
    env, see = with_features(
        SyncVectorEnv([lambda: lake], autoreset_mode=AutoresetMode.SAME_STEP),
        program("features", source=source, schema=schema_of(lake)),
    )
    observations, _ = env.reset(seed=0)
    np.testing.assert_array_equal(observations, [[1, *[0] * 15, 0]])
    down = env.step(np.array([1]))[0]
    np.testing.assert_array_equal(down, [[*[0] * 4, 1, *[0] * 11, 1]])
    np.testing.assert_array_equal(see([4], [{}]), down)


def test_a_training_gives_the_environments_own_return(program) -> None:
    train = program_trainer(EXPERIMENT, episodes=3, weight=1000.0)
    result = train(program("reward", "features"), 1)
    assert 0 < result.score <= 12
    assert set(result.curves) == {"moved", "right", "environment return", "episode length"}
    assert max(result.curves["environment return"]) <= 12
    again = train(program("reward", "features"), 1)
    assert again == result
    assert train(program("reward", "features"), 2).curves != result.curves
    # The curves are the program's own numbers, whatever their weight.
    assert max(result.curves["right"]) <= 0.5 * 12
    with pytest.raises(ConfigError, match="weight is 0"):
        program_trainer(EXPERIMENT, weight=0.0)


def test_a_program_that_fails_later_ends_the_training(program) -> None:
    source = (
        "def reward(state, action, next_state):\n"
        "    return 0.001 / max(0, 0.05 - abs(state['pole_angle']))\n"
    )
    with pytest.raises(ProgramError, match=r"line 2 .*division by zero; with state"):
        program_trainer(EXPERIMENT, episodes=1)(program("reward", source=source), 0)


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
    train = program_trainer(EXPERIMENT, episodes=2)
    result = Writer(model, schema, sample_transitions(env, schema, steps=50), train, search).run(
        tmp_path
    )
    assert result.counts["trained"] == 2
    assert 0 < result.test_scores[1] <= 12
