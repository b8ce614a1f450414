"""What every task must keep, whoever wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env

from dragoman.environments import environment_spec, make_environment
from dragoman.errors import ConfigError, SpaceError
from dragoman.tasks import ENVIRONMENTS, masks
from dragoman.tasks.catalog import PACKAGES, TASKS, Task, scores_of
from dragoman.testing import check_task
from tests.tasks.missing_extras import error_without

# A setting that only draws other instances has nothing more to show.
EACH = [task for task in TASKS if task.settings.get("split") != "test"]
OURS = [task for task in EACH if task.id.startswith("dragoman/")]

SMALL = {"dragoman/TextWorld-v0": {"num_games": 2, "rooms": 2, "objects": 3, "quest_length": 2}}
"""Settings that make a task quick to check."""

LIMITS = {"dragoman/TextWorld-v0": 5}
"""Time limits in which random play does not find the end of a small task."""

QUICKER = {"dragoman/Chess-v0": {"simulations": 20}, "dragoman/2048-v0": {"count": 1}}
"""References that search for most of a second a move search less here."""

EXTENT: Mapping[str, dict[str, int]] = {
    "dragoman/2048-v0": {"steps": 50, "episodes": 1},
    "dragoman/BreakoutRAM-v0": {"episodes": 1},
    "dragoman/Chess-v0": {"steps": 20, "episodes": 1},
    "dragoman/LeducPoker-v0": {"episodes": 50},
    "dragoman/PongRAM-v0": {"episodes": 1},
    "dragoman/TextWorld-v0": {"steps": 50},
    "dragoman/TicTacToe-v0": {"episodes": 20},
}
"""How far a task is played: slow ones less, and those with much chance more."""

VARIANTS: Mapping[str, list[dict[str, Any]]] = {
    "dragoman/BabyAIText-Mixed-v0": [{"split": "test", "parity": True}],
    "dragoman/CVRP-v0": [{"stops": 1}, {"stops": 30, "reward": "final"}],
    "dragoman/ConnectFour-v0": [{"opponent": "mcts", "simulations": 20}],
    "dragoman/Inventory-v0": [
        {"levels": ("nothing", "a little", "the usual", "a lot", "the maximum"), "days": 3},
        {"actions": "amounts"},
    ],
    "dragoman/JobShop-v0": [{"jobs": 3, "machines": 7, "reward": "final"}],
    "dragoman/Knapsack-v0": [{"kind": "bounded"}, {"items": 1, "capacity": 99}],
    "dragoman/LeducPoker-v0": [{"opponent": "mcts"}],
    "dragoman/TMaze-v0": [{"length": 0}],
    "dragoman/TextWorld-v0": [{"reward": "final"}],
    "dragoman/TicTacToe-v0": [{"opponent": "mcts"}],
    "dragoman/TidyHouse-v0": [{"num_objects": 10, "num_places": 17}],
}
"""Settings that change what there is to see or to do."""

CASES = [(task, {}) for task in EACH] + [
    (next(task for task in EACH if task.id == name), settings)
    for name, variants in VARIANTS.items()
    for settings in variants
]
OUR_CASES = [(task, settings) for task, settings in CASES if task in OURS]

REFUSED: Mapping[str, list[tuple[dict[str, Any], str]]] = {
    "dragoman/BabyAIText-PickupLocal-v0": [
        ({"split": "validation"}, "'test'"),
        ({"room_size": 4}, "from 5 to 12"),
        ({"num_distractors": -1}, "from 0 to 11"),
        ({"max_steps": 0}, "from 1 to"),
    ],
    "dragoman/BreakoutRAM-v0": [({"frame_skip": 0}, "from 1 to 60"), ({"sticky": 1.0}, "below 1")],
    "dragoman/CVRP-v0": [
        ({"stops": 0}, "stops is 0"),
        ({"stops": 101}, "give a whole number from 1 to 100"),
        ({"side": -1}, "side is -1"),
        ({"side": float("nan")}, "side is nan"),
        ({"capacity": 5}, "most_boxes is 9"),
        ({"reward": "sparse"}, "choose from 'dense', 'final'"),
        ({"when_masked": "skip"}, "choose from 'next', 'refuse'"),
    ],
    "dragoman/Inventory-v0": [
        ({"days": 0}, "days is 0"),
        ({"actions": "raw"}, "choose from 'levels', 'amounts'"),
        ({"levels": ("nothing", "a lott")}, "did you mean 'a lot'"),
        ({"levels": ("a lot", "nothing")}, "in rising order"),
        ({"levels": ("nothing", "nothing")}, "each once"),
        ({"levels": ()}, "at least one level"),
    ],
    "dragoman/JobShop-v0": [
        ({"instance": "ft6"}, "did you mean 'ft06'"),
        ({"jobs": 0}, "jobs is 0"),
        ({"machines": 31}, "machines is 31"),
        ({"durations": (5, 1)}, "the longest duration is 1"),
        ({"durations": 5}, "give the shortest and the longest"),
        ({"reward": "sparse"}, "choose from 'dense', 'final'"),
        ({"when_masked": "skip"}, "choose from 'next', 'refuse'"),
    ],
    "dragoman/Knapsack-v0": [
        ({"items": 0}, "items is 0"),
        ({"capacity": 98}, "capacity is 98"),
        ({"kind": "unbounded"}, "choose from 'binary', 'bounded'"),
        ({"when_masked": "skip"}, "choose from 'next', 'refuse'"),
    ],
    "dragoman/TMaze-v0": [({"length": -1}, "from 0 to 20"), ({"length": 2.5}, "from 0 to 20")],
    "dragoman/TextWorld-v0": [
        ({"num_games": 0}, "num_games is 0"),
        ({"rooms": 21}, "rooms is 21"),
        ({"objects": 0}, "objects is 0"),
        ({"quest_length": 0}, "quest_length is 0"),
        ({"num_actions": 0}, "num_actions is 0"),
        ({"split": "dev"}, "choose from 'train', 'validation', 'test'"),
        ({"reward": "sparse"}, "choose from 'dense', 'final'"),
        ({"when_masked": "skip"}, "choose from 'next', 'refuse'"),
    ],
    "dragoman/TicTacToe-v0": [
        ({"opponent": "stockfish"}, "choose 'random', 'mcts' or a function"),
        ({"side": "white"}, "'second'"),
        ({"simulations": 0}, "from 1 to"),
        ({"when_masked": "skip"}, "'refuse'"),
    ],
    "dragoman/TidyHouse-v0": [
        ({"num_objects": 0}, "from 1 to 10"),
        ({"num_objects": 2.5}, "from 1 to 10"),
        ({"num_places": 5}, "from 6 to 17"),
        ({"split": "dev"}, "'validation'"),
        ({"reward": "sparse"}, "'final'"),
        ({"penalty": -1}, "from 0 to 1"),
        ({"penalty": 0.1, "reward": "final"}, "set penalty to 0"),
    ],
}
"""Settings that a task refuses, with a part of the message."""


@pytest.fixture(autouse=True)
def games(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_CACHE", str(tmp_path_factory.getbasetemp() / "games"))


def make(task: Task, **settings: Any) -> gym.Env[Any, Any]:
    limit = LIMITS.get(task.id, task.max_episode_steps)
    spec = environment_spec(task.id, max_episode_steps=limit)
    return make_environment(spec, {**SMALL.get(task.id, {}), **task.settings, **settings})


def label(value: Any) -> str:
    return value.name if isinstance(value, Task) else " ".join(map(str, value.values()))


@pytest.mark.parametrize(("task", "settings"), CASES, ids=label)
def test_a_task_keeps_the_contract(task: Task, settings: dict[str, Any]) -> None:
    extent: Any = EXTENT.get(task.id, {})
    if settings:
        return check_task(partial(make, task, **settings), **{**extent, "steps": 50})
    check_task(
        partial(make, task),
        reference=partial(task.load_policy(), **QUICKER.get(task.id, {})),
        refused=REFUSED.get(task.id, ()),
        render_modes=() if task.extra == "envs" else ("ansi", "rgb_array"),
        **extent,
    )


@pytest.mark.slow
@pytest.mark.parametrize("task", OURS, ids=label)
def test_ten_thousand_states_keep_the_contract(task: Task) -> None:
    check_task(partial(make, task), steps=10_000, seed=5)


@pytest.mark.parametrize(("task", "settings"), OUR_CASES, ids=label)
def test_gymnasium_finds_nothing_to_warn_of(task: Task, settings: dict[str, Any]) -> None:
    more = {**SMALL.get(task.id, {}), **task.settings, **settings}
    check_env(gym.make(task.id, render_mode="ansi", **more).unwrapped)


@pytest.mark.parametrize("task", OURS, ids=label)
def test_actions_outside_the_rules_are_refused_and_steps_after_the_end(task: Task) -> None:
    env: Any = make(task).unwrapped
    env.reset(seed=0)
    for action in (env.action_space.n, -1, 0.5):
        with pytest.raises(SpaceError, match=r"0 to|is not in"):
            env.step(action)
    with pytest.raises(SpaceError, match="is outside 0 to"):
        env.action_text(env.action_space.n)
    with pytest.raises(SpaceError, match="no action reads 'dance'"):
        env.action_of("dance")
    env.action_space.seed(0)
    is_over = False
    while not is_over:
        _, _, terminated, truncated, _ = env.step(masks.uniform(env))
        is_over = terminated or truncated
    with pytest.raises(SpaceError, match="call reset"):
        env.step(0)
    with pytest.raises(ConfigError, match="choose from 'ansi'"):
        type(env)(render_mode="human")


@pytest.mark.parametrize("task", OURS, ids=label)
def test_agents_that_know_no_masks_can_play(task: Task) -> None:
    env = make(task)
    env.action_space.seed(1)
    env.reset(seed=1)
    for _ in range(200):
        observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
        assert env.observation_space.contains(observation)
        if terminated or truncated:
            env.reset()


@pytest.mark.parametrize("task", [task for task in OURS if task.extra != "boards"], ids=label)
def test_a_reference_plays_nothing_else(task: Task) -> None:
    with pytest.raises(ConfigError, match="not CartPoleEnv"):
        task.load_policy()(gym.make("CartPole-v1"))


@pytest.mark.parametrize("extra", sorted({task.extra for task in OURS} - {None}))
def test_a_missing_package_names_its_extra(extra: str) -> None:
    task = next(task for task in OURS if task.extra == extra)
    assert f"pip install 'dragoman[{extra}]'" in error_without(PACKAGES[extra], task.id)


def test_every_registered_environment_is_in_the_catalogue() -> None:
    assert {name for name, *_ in ENVIRONMENTS} <= {task.id for task in TASKS}
    assert {task.extra for task in TASKS} - {None} == set(PACKAGES)


@pytest.mark.parametrize("task", TASKS, ids=label)
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
