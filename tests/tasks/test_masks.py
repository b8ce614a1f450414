from __future__ import annotations

import os
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest

from dragoman import tasks
from dragoman.errors import ConfigError, SpaceError
from dragoman.tasks import masks
from dragoman.tasks.arguments import whole_number


@pytest.mark.parametrize(("action", "taken"), [(0, 1), (1, 1), (2, 4), (3, 4), (4, 4), (5, 1)])
def test_masked_action_becomes_the_next_allowed_one(action, taken):
    mask = np.array([0, 1, 0, 0, 1, 0], dtype=np.int8)
    assert masks.allowed_action(action, mask, "next") == taken
    assert masks.allowed_action(np.int64(action), mask, "next") == taken


def test_masked_action_can_be_refused_with_the_allowed_ones():
    with pytest.raises(SpaceError, match=r"action 1 is not allowed now; \[0, 2\] are"):
        masks.allowed_action(1, np.array([1, 0, 1], dtype=np.int8), "refuse")


@pytest.mark.parametrize("action", [-1, 3, 1.5, "1", None, np.array([1, 2])])
@pytest.mark.parametrize("when_masked", ["next", "refuse"])
def test_actions_outside_the_space_are_refused_always(action, when_masked):
    with pytest.raises(SpaceError, match="is outside 0 to 2"):
        masks.allowed_action(action, np.ones(3, dtype=np.int8), when_masked)


@pytest.mark.parametrize("value", [0, 31, 2.0, True, "6", None])
def test_whole_numbers_are_checked(value):
    with pytest.raises(ConfigError, match="give a whole number from 1 to 30"):
        whole_number("jobs", value, 1, 30)
    assert whole_number("jobs", np.int32(30), 1, 30) == 30


def test_unknown_action_text_names_a_near_one():
    with pytest.raises(SpaceError, match="did you mean 'drive to stop 1'"):
        masks.action_of("drive to stop1", ["return to the depot", "drive to stop 1"])


def test_registering_twice_changes_nothing():
    before = {name: spec for name, spec in gym.registry.items() if name.startswith("dragoman/")}
    tasks.register_all()
    after = {name: spec for name, spec in gym.registry.items() if name.startswith("dragoman/")}
    assert before.keys() >= {row[0] for row in tasks.ENVIRONMENTS}
    assert all(before[name] is after[name] for name in before)


# What an extra's own package imports is not ours to keep out.
BROUGHT = {
    "dragoman/Inventory-v0": {"scipy", "matplotlib"},
    "dragoman/Knapsack-v0": {"scipy", "matplotlib"},
}


@pytest.mark.parametrize("name", [row[0] for row in tasks.ENVIRONMENTS])
def test_an_id_can_name_its_package_and_loads_nothing_heavy(name, tmp_path):
    program = f"""
import sys
import gymnasium
gymnasium.make("dragoman.tasks:{name}").reset(seed=0)
heavy = {{"torch", "pydantic", "transformers", "scipy", "matplotlib", "stable_baselines3"}}
print(sorted(heavy & set(sys.modules) - {BROUGHT.get(name, set())}))
"""
    # TextWorld keeps the games it makes: not among the user's.
    environment = {**os.environ, "DRAGOMAN_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
