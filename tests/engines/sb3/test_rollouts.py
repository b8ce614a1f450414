from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from dragoman.engines.rollouts import StepsWarning
from dragoman.engines.sb3 import algorithms as sb3
from dragoman.engines.sb3.settings import algorithm_of
from dragoman.engines.train import train
from dragoman.environments import environment_spec
from dragoman.environments.vector import EpisodeRecorder, make_vector
from dragoman.errors import ConfigError
from dragoman.experiment import Algorithm, Experiment

COUNTING = "tests.counting_env:Counting"


def experiment(name: str, steps: int, copies: int, **settings: Any) -> Experiment:
    return Experiment(
        env="Pendulum-v1" if name in ("sac", "td3") else "CartPole-v1",
        steps=steps,
        num_envs=copies,
        observe=None,
        algorithm=Algorithm(name, settings, (8,)),
    )


def built(one: Experiment) -> Any:
    env = make_vector(environment_spec(one.env), one.num_envs)
    try:
        return sb3.build(one, EpisodeRecorder(env), 0)
    finally:
        env.close()


@pytest.mark.parametrize("name", ["ppo", "a2c"])
@pytest.mark.parametrize(
    ("steps", "copies"), [(400, 1), (2048, 2), (2048, 7), (8192, 8), (8192, 13), (100_000, 67)]
)
def test_defaults_give_twenty_updates_of_equal_batches(name: str, steps: int, copies: int) -> None:
    # Stable-Baselines3 warns where a rollout does not fall into whole batches.
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="You have specified a mini-batch size")
        warnings.simplefilter("ignore", StepsWarning)
        algorithm = built(experiment(name, steps, copies))
    rollout = algorithm.n_steps * copies
    assert steps // rollout >= 20
    assert rollout <= 512
    if name == "ppo":
        assert rollout % algorithm.batch_size == 0
        assert algorithm.batch_size > 1


def test_what_is_named_stays() -> None:
    algorithm = built(experiment("ppo", 8192, 8, n_steps=128, batch_size=32))
    assert (algorithm.n_steps, algorithm.batch_size) == (128, 32)
    algorithm = built(experiment("dqn", 8192, 8, learning_starts=7, target_update_interval=9))
    assert (algorithm.learning_starts, algorithm.target_update_interval) == (7, 9)


def test_few_steps_of_many_copies_have_many_updates(tmp_path: Path) -> None:
    run = train(experiment("ppo", 1024, 8), out=tmp_path / "run")
    assert run.steps == 1024
    assert len(run.metrics()) == 32


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ppo", {}),
        ("ppo", {"n_steps": 8, "batch_size": 24}),
        ("a2c", {}),
        ("a2c", {"n_steps": 7}),
        ("dqn", {}),
        ("dqn", {"train_freq": 7, "learning_starts": 10}),
        ("sac", {"train_freq": 7, "learning_starts": 10, "gradient_steps": 1}),
        ("td3", {"learning_starts": 10, "gradient_steps": -1}),
    ],
)
def test_no_step_more_than_asked(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    run = train(experiment(name, 123, 3, **settings), out=tmp_path / "run")
    assert run.status == "finished"
    assert run.steps == 123


def test_every_row_of_an_off_policy_training_has_all_columns(tmp_path: Path) -> None:
    # All copies are cut off in the same steps, and the last episodes are not whole.
    data = {"env": "FrozenLake-v1", "max_episode_steps": 2, "num_envs": 2, "steps": 50}
    settings = {"learning_starts": 8, "batch_size": 8}
    own = {"explore": "counts", "observe": None, "algorithm": {"name": "dqn", "settings": settings}}
    run = train(Experiment.from_dict({**data, **own}), out=tmp_path / "run")
    rows = list(run.metrics())
    steps = [row["step"] for row in rows]
    assert steps == sorted(set(steps))
    assert steps[-1] == 50
    for row in rows:
        assert {"rollout/return_mean", "rollout/episodes", "explore/states"} <= row.keys()


def test_updates_by_whole_episodes_end_there_too(tmp_path: Path) -> None:
    settings = {"train_freq": [1, "episode"], "learning_starts": 10}
    one = Experiment(
        env=COUNTING,
        env_settings={"first": 30},
        steps=75,
        num_envs=1,
        observe=None,
        algorithm=Algorithm("dqn", settings, (8,)),
    )
    assert train(one, out=tmp_path / "run").steps == 75


def test_a_shorter_last_rollout_is_learnt_from_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: list[tuple[int, int]] = []
    ppo = algorithm_of("ppo")
    train_once = ppo.train

    def watched(algorithm: Any) -> None:
        learnt.append((algorithm.rollout_buffer.observations.shape[0], algorithm.num_timesteps))
        assert algorithm.rollout_buffer.full
        train_once(algorithm)

    monkeypatch.setattr(ppo, "train", watched)
    train(experiment("ppo", 40, 2, n_steps=8, batch_size=16), out=tmp_path / "run")
    assert learnt == [(8, 16), (8, 32), (4, 40)]


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (
            experiment("ppo", 64, 2, n_steps=64),
            "64 steps of 2 copies, more than the 64",
        ),
        (experiment("dqn", 64, 2, learning_starts=64), "it learns nothing"),
        (experiment("ppo", 65, 2, n_steps=8), "takes 64 steps of 65"),
    ],
)
def test_what_does_not_fit_is_said_before_it_starts(one: Experiment, said: str) -> None:
    with pytest.warns(StepsWarning, match=said):
        built(one)


def test_fewer_steps_than_copies_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="steps is 3, but 4 copies"):
        train(experiment("ppo", 3, 4), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("steps", [200, 2000, 400_000])
def test_a_target_network_follows_in_short_trainings_too(steps: int) -> None:
    algorithm = built(experiment("dqn", steps, 8))
    assert algorithm.learning_starts <= steps // 20
    assert algorithm.target_update_interval == min(steps // 20, 10_000)
