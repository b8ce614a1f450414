"""Every space trains without a model or is refused first, in every arm of a comparison too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import minigrid  # noqa: F401 # registers its environments
import pytest

from dragoman.agents.evaluate import evaluate
from dragoman.agents.record import record
from dragoman.comparison import runner as comparing
from dragoman.comparison.file import read_comparison
from dragoman.comparison.runner import compare
from dragoman.engines import train as engines
from dragoman.engines.check import check
from dragoman.engines.policies.features import reads
from dragoman.engines.train import train
from dragoman.environments import environment_spec, make_environment
from dragoman.errors import ConfigError, SpaceError
from dragoman.experiment import Algorithm, Experiment
from dragoman.roles.act.settings import Act
from dragoman.roles.observe.raw import WORDS, RawState
from dragoman.roles.observe.settings import Observe
from dragoman.testing import ScriptedModel
from tests.comparison.small_comparisons import InProcess
from tests.moments import moments
from tests.observation_spaces import READABLE, UNREADABLE

ENV = "tests.observation_spaces:Sampled"
SHORT: dict[str, dict[str, Any]] = {
    "ppo": {"n_steps": 8, "batch_size": 8, "n_epochs": 1},
    "a2c": {"n_steps": 8},
    "dqn": {"learning_starts": 4, "batch_size": 4, "buffer_size": 50},
    "recurrent-ppo": {"n_steps": 8, "batch_size": 8, "n_epochs": 1},
    "sac": {"learning_starts": 4, "batch_size": 4, "buffer_size": 50},
    "td3": {"learning_starts": 4, "batch_size": 4, "buffer_size": 50},
}


def experiment(space: str, name: str = "ppo", **more: Any) -> Experiment:
    return Experiment(
        env=ENV,
        env_settings={"name": space, "continuous": name in ("sac", "td3")},
        steps=16,
        num_envs=2,
        algorithm=Algorithm(name, SHORT[name], network=(4,)),
        **{"observe": None, **more},
    )


@pytest.mark.parametrize("space", READABLE)
def test_every_readable_space_trains_without_a_model_and_plays(space: str, tmp_path: Path) -> None:
    wanted = experiment(space)
    check(wanted)
    run = train(wanted, out=tmp_path / "run")
    assert evaluate(run, episodes=2).mean == 3.0


@pytest.mark.parametrize("space", ["numbers", "dict with own text", "dict with a picture and text"])
@pytest.mark.parametrize("name", SHORT)
def test_every_algorithm_trains_on_what_is_made_of_a_space(
    name: str, space: str, tmp_path: Path
) -> None:
    run = train(experiment(space, name), out=tmp_path / "run")
    assert evaluate(run, episodes=2).mean == 3.0
    assert record(run, episodes=1).episodes


@pytest.mark.parametrize("space", READABLE)
def test_every_readable_space_is_a_state_beside_a_model(space: str, tmp_path: Path) -> None:
    model = ScriptedModel(lambda text: [len(text)])
    for more in ({"act": Act("match")}, {"observe": Observe(raw=True)}):
        wanted = experiment(space, **more)
        check(wanted)
        run = train(wanted, out=tmp_path / next(iter(more)), model=model)
        assert evaluate(run, episodes=1, model=model).mean == 3.0


ROLES = {
    "without a model": {},
    "observe": {"observe": Observe()},
    "observe raw": {"observe": Observe(raw=True)},
    "act": {"act": Act("match")},
}


@pytest.mark.parametrize("space", UNREADABLE)
@pytest.mark.parametrize("roles", ROLES)
def test_what_cannot_be_read_is_refused_before_a_model_is_loaded(
    space: str, roles: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "reader_of", lambda *given: pytest.fail("a model is loaded"))
    wanted = experiment(space, **ROLES[roles])
    with pytest.raises((ConfigError, SpaceError)) as error:
        train(wanted, out=tmp_path / "run")
    assert "wrap the environment" in error.value.cure or "describer" in error.value.cure
    assert not (tmp_path / "run").exists()
    with pytest.raises(type(error.value)):
        check(wanted)


def test_spaces_that_the_library_reads_stay_as_they_are() -> None:
    plain = {name for name, space in READABLE.items() if reads(space)}
    assert plain == {
        "numbers", "whole numbers", "a matrix", "codes", "a picture", "choice", "choices", "bits",
        "bits in rows", "dict", "dict with bits in rows", "dict with a picture",
    }  # fmt: skip


def test_mazes_of_minigrid_and_babyai_train_without_a_model(tmp_path: Path) -> None:
    for env in ("MiniGrid-Empty-5x5-v0", "BabyAI-GoToLocal-v0"):
        wanted = Experiment(
            env=env, steps=16, num_envs=2, max_episode_steps=5, observe=None,
            algorithm=Algorithm("ppo", SHORT["ppo"], network=(4,)),
        )  # fmt: skip
        run = train(wanted, out=tmp_path / env)
        assert len(evaluate(run, episodes=2).returns) == 2


def families() -> list[str]:
    """Return an id of every class of environments that MiniGrid has."""
    result = {
        str(spec.entry_point): spec.id
        for spec in gym.registry.values()
        # Those of wave function collapse draw from pictures that are not in the package.
        if str(spec.entry_point).startswith("minigrid.") and "WFC" not in spec.id
    }
    return sorted(result.values())


@pytest.mark.parametrize("env_id", families())
def test_every_family_of_minigrid_is_read_without_a_model(env_id: str) -> None:
    env = make_environment(environment_spec(env_id))
    observation, info = env.reset(seed=0)
    assert not reads(env.observation_space)
    state = RawState(env.observation_space, pictures=True)
    seen = state(moments([observation], [info]))
    assert seen.shape == (1, observation["image"].size + 4 + WORDS)
    assert seen[0, -WORDS:].any() == bool(observation["mission"])
    env.close()


ARMS = """\
base:
  env: tests.observation_spaces:Sampled
  env_settings: {{name: {space}}}
  steps: 16
  num_envs: 2
  observe: {{}}
  model: {{name: {model}}}
  algorithm: {{name: {algorithm}, settings: {{}}, network: [4]}}
controls: false
seeds: 1
evaluation: {{episodes: 2}}
"""


@pytest.mark.parametrize(
    ("space", "algorithm", "message"),
    [
        ("a thing", "ppo", "arm 'model': Things is not a space"),
        ("dict of things", "ppo", "arm 'model': Things is not a space"),
        ("numbers", "sac", r"arm 'model': sac cannot act in Discrete\(3\)"),
    ],
)
def test_no_arm_is_trained_where_one_cannot_be(
    space: str, algorithm: str, message: str, tmp_path: Path, tiny_gpt2_path: Path
) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(ARMS.format(space=space, model=tiny_gpt2_path, algorithm=algorithm))
    with pytest.raises(ConfigError, match=message):
        compare(read_comparison(file), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_arm_without_a_model_is_added_whatever_the_space(
    tmp_path: Path, tiny_gpt2_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "Workers", InProcess)
    monkeypatch.setenv("DRAGOMAN_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "small.yaml"
    text = ARMS.format(space="dict with own text", model=tiny_gpt2_path, algorithm="ppo")
    file.write_text(text.replace("settings: {}", "settings: {n_steps: 8, batch_size: 8}"))
    results = compare(read_comparison(file), tmp_path / "out", jobs=1)
    assert results["arms"]["no-model"]["status"] == {"0": "finished"}
    assert results["arms"]["model"]["status"] == {"0": "finished"}
