"""What every task must keep, whoever wrote it."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from dragoman.describe import describe_env
from dragoman.environments import environment_spec, make_environment
from dragoman.tasks import ENVIRONMENTS
from dragoman.tasks.catalog import PACKAGES, TASKS, Task, scores_of

QUICKER = {"dragoman/Chess-v0": {"simulations": 2}, "dragoman/2048-v0": {"count": 1}}
"""References that search for most of a second a move search less here."""

# A setting that only draws other instances has nothing more to show.
EACH = [task for task in TASKS if task.settings.get("split") != "test"]
SPOKEN = [task for task in EACH if task.id.startswith("dragoman/")]


@pytest.fixture(autouse=True)
def games(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_CACHE", str(tmp_path_factory.getbasetemp() / "games"))


def make(task: Task) -> gym.Env[Any, Any]:
    settings = dict(task.settings)
    if task.id == "dragoman/TextWorld-v0":
        settings |= {"num_games": 2, "rooms": 2, "objects": 3, "quest_length": 2}
    spec = environment_spec(task.id, max_episode_steps=task.max_episode_steps)
    return make_environment(spec, settings)


def random_steps(env: gym.Env[Any, Any], count: int, seed: int) -> list[tuple[Any, ...]]:
    """Return text, reward, ends and action texts of steps with allowed actions, from a reset on."""
    describer = describe_env(env)
    env.action_space.seed(seed)
    observation, info = env.reset(seed=seed)
    rows: list[tuple[Any, ...]] = []
    for _ in range(count):
        mask = info.get("action_mask")
        action = env.action_space.sample(None if mask is None else np.asarray(mask, np.int8))
        observation, reward, terminated, truncated, info = env.step(action)
        assert env.observation_space.contains(observation)
        text = describer.observation(observation, info)
        rows.append((text, float(reward), terminated, truncated, info.get("action_texts")))
        if terminated or truncated:
            observation, info = env.reset()
    return rows


@pytest.mark.parametrize("task", EACH, ids=lambda task: task.name)
def test_a_thousand_random_steps(task: Task) -> None:
    env = make(task)
    rows = random_steps(env, 1000, seed=3)
    assert all(text and np.isfinite(reward) for text, reward, *_ in rows)
    texts = [text for text, *_ in rows]
    # Something is told of the state: it is not always the same.
    assert len(set(texts)) > 1
    again = make(task)
    assert random_steps(again, 200, seed=3) == rows[:200], "equal seeds must give equal episodes"
    env.close()
    again.close()


@pytest.mark.parametrize("task", EACH, ids=lambda task: task.name)
def test_three_episodes_of_the_reference(task: Task) -> None:
    env, policy = make(task), partial(task.load_policy(), **QUICKER.get(task.id, {}))
    env.action_space.seed(0)
    for seed in range(3):
        env.reset(seed=seed)
        terminated = truncated = False
        while not (terminated or truncated):
            action = policy(env)
            assert env.action_space.contains(action if np.ndim(action) else np.int64(action))
            _, _, terminated, truncated, _ = env.step(action)
    env.close()


@pytest.mark.parametrize("states", [300, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("task", SPOKEN, ids=lambda task: task.name)
def test_action_texts_name_one_action_each(task: Task, states: int) -> None:
    env = make(task)
    env.action_space.seed(5)
    _, info = env.reset(seed=5)
    plain: Any = env.unwrapped
    for _ in range(states):
        texts, mask = info["action_texts"], np.asarray(info["action_mask"])
        assert [bool(text) for text in texts] == mask.astype(bool).tolist()
        allowed = np.flatnonzero(mask)
        assert len({texts[action] for action in allowed}) == len(allowed)
        for action in allowed[:20].tolist():
            assert plain.action_text(action) == texts[action]
            assert plain.action_of(texts[action]) == action
        _, _, terminated, truncated, info = env.step(env.action_space.sample(mask.astype(np.int8)))
        if terminated or truncated:
            _, info = env.reset()
    env.close()


def test_every_registered_environment_is_in_the_catalogue() -> None:
    assert {name for name, *_ in ENVIRONMENTS} <= {task.id for task in TASKS}
    assert {task.extra for task in TASKS} - {None} == set(PACKAGES)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_scores_are_measured_and_the_reference_beats_chance(task: Task) -> None:
    random, reference = scores_of(task)
    assert random.low <= random.mean <= random.high
    assert reference.low <= reference.mean <= reference.high
    assert reference.mean > random.mean
    assert reference.episodes == random.episodes == task.episodes


def test_a_missing_package_names_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dragoman.tasks.catalog.find_spec", lambda name: None)
    task = next(task for task in TASKS if task.extra == "boards")
    assert task.cure == "pip install 'dragoman[boards]'"
    assert TASKS[0].cure == ""
