"""Features of a program that a model wrote, beside what else the agent sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import yaml
from gymnasium.vector import SyncVectorEnv

from dragoman import observe
from dragoman.agents.agent import Agent
from dragoman.agents.evaluate import evaluate
from dragoman.comparison.file import read_comparison
from dragoman.engines.check import check
from dragoman.engines.train import train
from dragoman.errors import ConfigError, ProgramError
from dragoman.experiment import Experiment
from dragoman.programs.schema import Quantity, Schema
from dragoman.roles.observe.settings import Observe
from dragoman.roles.observe.written import RandomFeatures, Written
from dragoman.run import Run
from tests.moments import moments

SOURCE = (
    "def features(state):\n    return {'row': state['value'] // 4, 'column': state['value'] % 4}\n"
)


@pytest.fixture
def program(tmp_path: Path) -> str:
    """Return a program that reads a square of the small lake."""
    file = tmp_path / "best.py"
    file.write_text(SOURCE)
    return str(file)


def experiment(program: str, **settings: Any) -> Experiment:
    return Experiment.from_dict(
        {
            "env": "FrozenLake-v1",
            "env_settings": {"is_slippery": False},
            "steps": 64,
            "num_envs": 2,
            "observe": {"pooling": [], "raw": True, "written": {"program": program}, **settings},
            "algorithm": {"settings": {"n_steps": 32, "batch_size": 32, "n_epochs": 1}},
        }
    )


def test_rows_and_columns_of_all_squares(program: str) -> None:
    features = Written(program).fitted(gym.make("FrozenLake-v1"), seed=0)
    got = features(moments([np.int64(square) for square in range(16)]))
    np.testing.assert_array_equal(got, [[i // 4, i % 4] for i in range(16)])
    assert got.dtype == np.float32
    assert features.size == 2


def test_an_agent_may_see_numbers_and_features_and_no_model(program: str) -> None:
    settings = Observe(pooling=(), raw=True, written=Written(program), standardise=False)
    env = observe("FrozenLake-v1", "no such model", settings)
    assert env.reset(seed=0)[0].tolist() == [1, *[0] * 15, 0, 0]
    assert env.observer.models == ()
    several = observe(SyncVectorEnv([lambda: gym.make("FrozenLake-v1")] * 2), settings=settings)
    assert several.reset(seed=0)[0].shape == (2, 18)


def test_a_run_is_played_as_it_was_trained_and_only_with_its_program(
    program: str, tmp_path: Path
) -> None:
    run = train(experiment(program), out=tmp_path / "run")
    assert not run.experiment.uses_model
    agent = Agent(Run(run.path))
    state = agent.read([6], [{}])
    assert state.shape == (1, 18)
    assert evaluate(run, episodes=2).returns == evaluate(run, episodes=2).returns
    Path(program).write_text(SOURCE.replace("// 4", "// 3"))
    with pytest.raises(ConfigError, match="not the one that the run was trained with"):
        Agent(run)
    Path(program).unlink()
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        Agent(run)


def test_random_features_by_hand() -> None:
    numbers = (Quantity("a", "", -2.0, 6.0), Quantity("b", "", -np.inf, np.inf))
    schema = Schema(numbers, (), ("go",), 0, list, list)
    features = RandomFeatures(schema, 3, seed=7)
    assert features.size == 3
    rows = np.array([[2.0, 0.5], [6.0, -3.0], [-2.0, 0.0]])
    scaled = np.array([[0.0, 0.5], [1.0, -3.0], [-1.0, 0.0]])
    expected = np.tanh(scaled @ features._weights + features._shift)
    np.testing.assert_allclose(features(moments(list(rows))), expected, rtol=1e-6)
    assert np.ptp(expected) > 0.1
    again, other = RandomFeatures(schema, 3, seed=7), RandomFeatures(schema, 3, seed=8)
    np.testing.assert_array_equal(again._weights, features._weights)
    assert not np.array_equal(other._weights, features._weights)


def test_a_placebo_has_as_many_features(program: str) -> None:
    env = gym.make("FrozenLake-v1")
    squares = moments([np.int64(square) for square in range(16)])
    first, second = (Written(program, random=True).fitted(env, seed)(squares) for seed in (1, 2))
    assert first.shape == second.shape == (16, 2)
    assert not np.array_equal(first, second)
    assert len(np.unique(first, axis=0)) == 16


def test_controls_and_priors_say_what_is_known(program: str) -> None:
    written = experiment(program).observe
    assert written is not None
    assert [control.name for control in written.controls] == ["random-features"]
    assert written.prior == "what the program's author knows"
    placebo = experiment(program, **{"written": {"program": program, "random": True}}).observe
    assert placebo is not None
    assert placebo.controls == ()
    assert placebo.prior.startswith("none: ")
    both = Observe(written=Written(program))
    names = [control.name for control in both.controls]
    assert names == ["random-weights", "learned-embedding", "random-features"]
    assert both.prior.endswith("; what the program's author knows")
    assert Observe(pooling=(), raw=True).prior == "none: the environment's own numbers"


def test_a_comparison_adds_the_placebo(program: str, tmp_path: Path) -> None:
    base = experiment(program).to_dict()
    observed = base.pop("observe")
    file = tmp_path / "features.yaml"
    written = {
        "base": {**base, "observe": {"pooling": [], "raw": True}},
        "arms": {"written": {"observe": observed}, "numbers": {}},
        "baseline": "numbers",
        "seeds": 2,
    }
    file.write_text(yaml.safe_dump(written, sort_keys=False))
    comparison = read_comparison(file)
    assert {name: arm.kind for name, arm in comparison.arms.items()} == {
        "written": "arm",
        "numbers": "baseline",
        "random-features": "control",
    }
    placebo = comparison.experiment("random-features").observe
    assert placebo is not None
    assert placebo.written == Written(program, random=True)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"written": {"program": "nowhere.py"}}, "nowhere.py cannot be read"),
        ({"written": {"program": "empty.py"}}, "empty.py: .*features"),
        ({"written": {"program": "fails.py"}}, "fails.py: .*division"),
        ({"written": {"program": "x.py", "largest": 0}}, "largest is 0"),
        ({"written": None, "raw": False}, "pooling is empty"),
        ({"model": "smollm2-135m"}, "read nothing"),
    ],
)
def test_what_cannot_be_seen_is_refused_before_training(
    settings: dict[str, Any], problem: str, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(program).parent)
    Path("empty.py").write_text("x = 1\n")
    Path("fails.py").write_text("def features(state):\n    return 1 / state['value']\n")
    with pytest.raises(ConfigError, match=problem):
        check(experiment(program, **settings))


def test_a_feature_that_fails_later_says_in_which_state(program: str) -> None:
    Path(program).write_text("def features(state):\n    return 1 / (5 - state['value'])\n")
    features = Written(program).fitted(gym.make("FrozenLake-v1"), seed=0)
    with pytest.raises(ProgramError, match=r"division by zero; with state = \(value 5\)"):
        features(moments([np.int64(4), np.int64(5)]))
