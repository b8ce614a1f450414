"""Programs that a model wrote, as terms of the reward role."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from dragoman.agents.record import record
from dragoman.describe.vector import MomentVector
from dragoman.engines.assembly import moments_of
from dragoman.engines.train import train
from dragoman.errors import ConfigError, RewardError
from dragoman.experiment import Experiment
from dragoman.maths.shaping import shaping
from dragoman.programs import Sandbox
from dragoman.roles.reward.call import Caller
from dragoman.roles.reward.program import Written
from dragoman.roles.reward.rewarder import BonusWarning
from dragoman.roles.reward.term import Steps
from dragoman.roles.reward.vector import RewardVector
from dragoman.roles.role import Context, Models
from dragoman.run import Run
from tests.moments import moments

PROGRAMS = {
    "CartPole-v1": (
        "def potential(state):\n"
        "    return {'a': 1 - abs(state['pole_angle']), 'b': -abs(state['cart_velocity'])}\n"
        "def reward(state, action, next_state):\n"
        "    return action + next_state['cart_position'] - 2 * state['cart_position']\n",
        lambda row: 1 - abs(row[2]) - abs(row[1]),
        lambda before, action, after: action + after[0] - 2 * before[0],
    ),
    "Pendulum-v1": (
        "def potential(state):\n"
        "    return state['x_cos_theta'] - 0.1 * abs(state['angular_velocity'])\n"
        "def reward(state, action, next_state):\n"
        "    return {'effort': -abs(action['torque']),"
        " 'up': next_state['x_cos_theta'] - state['x_cos_theta']}\n",
        lambda row: row[0] - 0.1 * abs(row[2]),
        lambda before, action, after: -abs(action[0]) + after[0] - before[0],
    ),
}
SHORT = {
    "env": "CartPole-v1",
    "steps": 64,
    "num_envs": 2,
    "observe": None,
    "algorithm": {"settings": {"n_steps": 32, "batch_size": 32, "n_epochs": 1}},
}
MODES = [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP]


def program_file(folder: Path, source: str) -> str:
    file = folder / "program.py"
    file.write_text(source)
    return str(file)


def rewarded(name: str, limit: int, mode: AutoresetMode, **reward: Any) -> RewardVector:
    """Return two copies of an environment under the reward role, by a discount of 0.9."""
    inner = SyncVectorEnv(
        [lambda: gym.make(name, max_episode_steps=limit)] * 2, autoreset_mode=mode
    )
    experiment = Experiment.from_dict({"env": name, "reward": {"use": "written", **reward}})
    assert experiment.reward is not None
    moments = moments_of(experiment, inner)
    context = Context(Models(None, 0), moments, gamma=0.9)
    return experiment.reward.wrap(MomentVector(inner, moments), context)


def played(env: RewardVector, steps: int = 40) -> Any:
    """Yield the transitions of each step: before, action, after, whether terminal, and the term."""
    env.action_space.seed(3)
    here, _ = env.reset(seed=5)
    was_over = np.zeros(2, dtype=bool)
    for _ in range(steps):
        actions = env.action_space.sample()
        after, _, terminated, truncated, infos = env.step(actions)
        over = terminated | truncated
        for i in range(2):
            if env.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP and was_over[i]:
                assert infos["reward/written"][i] == 0
                continue
            own = infos["final_obs"][i] if over[i] and "final_obs" in infos else after[i]
            yield here[i], actions[i], own, terminated[i], infos["reward/written"][i]
        here, was_over = after, over


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
@pytest.mark.parametrize(
    ("name", "limit"), [("CartPole-v1", 5), ("CartPole-v1", 99), ("Pendulum-v1", 7)]
)
def test_a_potential_shapes_as_the_formula_says(
    name: str, limit: int, mode: AutoresetMode, tmp_path: Path
) -> None:
    source, phi, _ = PROGRAMS[name]
    env = rewarded(name, limit, mode, program=program_file(tmp_path, source), weight=3.0)
    terminals = 0
    for before, _, after, is_terminal, result in played(env):
        expected = shaping([3 * phi(before)], [3 * phi(after)], [is_terminal], 0.9)
        assert result == pytest.approx(expected[0], abs=1e-6)
        terminals += is_terminal
    assert (terminals > 0) == (limit == 99)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_reward_is_given_states_and_actions_as_they_are(
    name: str, mode: AutoresetMode, tmp_path: Path
) -> None:
    source, _, worth = PROGRAMS[name]
    file = program_file(tmp_path, source)
    with pytest.warns(BonusWarning):
        env = rewarded(name, 9, mode, program=file, function="reward", shaping="bonus", weight=2.0)
    for before, action, after, _, result in played(env):
        assert result == pytest.approx(2 * worth(before, action, after), abs=1e-5)


def test_a_state_is_kept_though_the_environment_writes_into_its_array(tmp_path: Path) -> None:
    file = program_file(tmp_path, PROGRAMS["CartPole-v1"][0])
    settings = {"function": "reward", "shaping": "bonus"}
    with pytest.warns(BonusWarning):
        env = rewarded("CartPole-v1", 9, AutoresetMode.SAME_STEP, program=file, **settings)
    rewarder, array, first = env.rewarder, np.full(4, 0.5), np.zeros(1, np.int64)
    rewarder.begin(first, moments([array]))
    array[:] = 2.0
    steps = Steps(first, moments([array]), [1], np.zeros(1, np.bool_))
    result = rewarder.advance(steps, np.zeros(0, np.int64), [])
    assert result["written"].tolist() == [1 + 2.0 - 2 * 0.5]


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("0.001 / max(0, 0.06 - abs(state['pole_angle']))", "line 2 .*division by zero"),
        ("(1e308 + 0 * state['pole_angle']) * 1e308", "is inf"),
        ("101 + 0 * state['pole_angle']", "is 101, beyond ±100"),
        ("'1'", "'potential' is str, not a number"),
    ],
)
def test_a_program_that_fails_stops_the_run(body: str, what: str, tmp_path: Path) -> None:
    file = program_file(tmp_path, f"def potential(state):\n    return {body}\n")
    reward = {"use": "written", "program": file}
    experiment = Experiment.from_dict({**SHORT, "steps": 200, "reward": reward})
    with pytest.raises(RewardError, match=what) as raised:
        train(experiment, out=tmp_path / "run")
    for part in ("the reward 'written'", "program.py", "for the observation ["):
        assert part in raised.value.problem
    if what.startswith("line 2"):  # after some steps, which are kept
        assert Run(tmp_path / "run").experiment == experiment
    else:
        assert not (tmp_path / "run").exists()


def test_it_needs_no_model_and_a_reward_is_no_potential(tmp_path: Path) -> None:
    file = program_file(tmp_path, PROGRAMS["CartPole-v1"][0])
    plain = {"env": "CartPole-v1", "observe": None}
    made = Experiment.from_dict({**plain, "reward": {"use": "written", "program": file}})
    assert not made.uses_model
    own = {"use": "written", "program": file, "function": "reward"}
    with pytest.raises(ConfigError, match="takes previous_observations, raw_actions, so it is no"):
        Experiment.from_dict({**plain, "reward": own})


def test_what_cannot_be_used_is_said_before_the_training(tmp_path: Path) -> None:
    env = gym.make("CartPole-v1")
    with pytest.raises(ConfigError, match=r"nowhere.py cannot be read: No such file"):
        Written(str(tmp_path / "nowhere.py")).fitted(env)
    opening = program_file(tmp_path, "def potential(state):\n    return open('a')\n")
    with pytest.raises(ConfigError, match=r"program.py: line 2 .*'open' is not known here"):
        Written(opening).fitted(env)
    other = program_file(tmp_path, "def reward(state, action, next_state):\n    return 1\n")
    with pytest.raises(ConfigError, match=r"program.py: .*potential"):
        Written(other).fitted(env)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\xff\xfe", "is no text in UTF-8"),
        (b"def potential(state):\n\x00", r"U\+0000"),
        (b"def potential(state):\n    return (" + b"(" * 5_000, "no valid Python"),
        (b"def potential(state):\n    break\n", "'break' outside loop"),
    ],
)
def test_a_file_that_is_no_program_is_an_error_of_the_settings(
    content: bytes, problem: str, tmp_path: Path
) -> None:
    file = tmp_path / "program.py"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=problem):
        Written(str(file)).fitted(gym.make("CartPole-v1"))


def test_the_bound_can_be_set(tmp_path: Path) -> None:
    file = program_file(tmp_path, "def potential(state):\n    return 500 * state['pole_angle']\n")
    function = Written(file, largest=1000).fitted(gym.make("CartPole-v1"))
    try:
        caller = Caller.of("it", function)
        values, _ = caller({"observations": [[1.0, -2.0, 0.5, 0.0], [0.0] * 4]}, 2)
        assert values.tolist() == [250.0, 0.0]
        with pytest.raises(RewardError, match="is 1500, beyond ±1000"):
            caller({"observations": [[1.0, -2.0, 3.0, 0.0]]}, 1)
    finally:
        function.close()
    with pytest.raises(ConfigError, match="largest is 0"):
        Written(file, largest=0)


def test_the_sandbox_ends_with_the_training_and_with_the_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[weakref.ref[Sandbox]] = []
    make = Sandbox.__init__
    monkeypatch.setattr(
        Sandbox, "__init__", lambda self: (opened.append(weakref.ref(self)), make(self))[1]
    )

    def still_open() -> list[Sandbox]:
        gc.collect()
        return [sandbox for ref in opened if (sandbox := ref()) is not None]

    source = (
        "def potential(state):\n    angles = [state['pole_angle']]\n"
        "    while angles:\n        return abs(angles.pop())\n"
    )
    reward = {"use": "written", "program": program_file(tmp_path, source)}
    run = train(Experiment.from_dict({**SHORT, "reward": reward}), out=tmp_path / "run")
    assert len(opened) == 2  # the first was for the check before the model is loaded
    assert not still_open()
    recording = record(run, episodes=1, most_steps=3)
    assert len(opened) == 3
    assert not still_open()
    assert "terms" not in recording.note
