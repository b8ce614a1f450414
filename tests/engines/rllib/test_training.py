"""Trainings on RLlib: in this process, and with runners in others."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from typer.testing import CliRunner

from dragoman.agents.evaluate import evaluate
from dragoman.cli import app
from dragoman.engines.rllib import RLlib
from dragoman.engines.rllib.training import RLlibTraining
from dragoman.engines.train import train
from dragoman.engines.watcher import Watcher
from dragoman.errors import ConfigError, SpaceError
from dragoman.experiment import Algorithm, Experiment
from dragoman.files import read_rows
from dragoman.roles.act.settings import Act
from dragoman.roles.control import Control
from dragoman.roles.observe.settings import Observe
from dragoman.roles.reward.settings import Reward, Term
from dragoman.roles.role import RoleVector
from dragoman.run import Run
from dragoman.testing import ScriptedModel
from tests.engines.sb3.test_tuned import recall, tuned
from tests.text_tasks import bag_of_words

pytestmark = pytest.mark.usefixtures("cluster_of_three")
SMALL = {"n_steps": 16, "batch_size": 32, "n_epochs": 1}


def lamps(steps: int, **changes: Any) -> Experiment:
    """Return a task that a frozen model of words solves by matching."""
    settings = {"n_steps": 64, "batch_size": 128, "n_epochs": 6, "learning_rate": 0.01}
    return Experiment(
        env="tests.text_tasks:Lamps",
        steps=steps,
        num_envs=4,
        algorithm=Algorithm("ppo", settings, (32,)),
        observe=Observe(pooling=("last",), freeze_after=128),
        act=Act("match", pooling=("last",)),
        **changes,
    )


def reader() -> ScriptedModel:
    return ScriptedModel(bag_of_words)


class Looking(Watcher):
    """Looks at the runners after each round."""

    def __init__(self) -> None:
        self.rounds: list[list[dict[str, Any]]] = []

    def update(self, training):
        group = training._algorithm.env_runner_group
        self.rounds.append(group.foreach_env_runner(seen_of, local_env_runner=False))


def seen_of(runner: Any) -> dict[str, Any]:
    """Return what a runner of the act role has, and does."""
    return {
        "pid": os.getpid(),
        "seeds": list(runner._seed),
        "observer": runner.stack.observer.state(),
        "weights": runner.module.get_state(),
    }


def test_known_returns_reach_the_run_folder(tmp_path: Path) -> None:
    experiment = Experiment(
        env="tests.counting_env:Counting",
        env_settings={"first": 3},
        steps=18,
        num_envs=1,
        algorithm=Algorithm("ppo", {"n_steps": 6, "batch_size": 6, "n_epochs": 1}, (4,)),
        observe=None,
    )
    run = train(experiment, out=tmp_path / "run", engine=RLlib())
    rows = [(row["step"], row["return"], row["length"], row["truncated"]) for row in run.episodes()]
    assert rows == [(3, 6.0, 3, False), (7, 10.0, 4, True), (12, 15.0, 5, False),
                    (18, 21.0, 6, True)]  # fmt: skip
    assert [row["step"] for row in run.metrics()] == [6, 12, 18]
    assert evaluate(run, 2).returns == [6.0, 6.0]
    assert run.environment["engine"] == "rllib"
    assert run.environment["env_runners"] == 0
    assert run.environment["versions"]["ray"] != "not installed"


def test_a_row_has_the_columns_of_stable_baselines3(tmp_path: Path) -> None:
    experiment = lamps(256)
    ours = train(experiment, out=tmp_path / "ours", engine=RLlib(), model=reader())
    theirs = train(experiment, out=tmp_path / "theirs", model=reader())
    # A row of Stable-Baselines3 comes before the update that this one has already.
    missing = {key for row in theirs.metrics() for key in row} - set(ours.metrics()[-1])
    assert missing <= {
        "time/fps", "time/iterations", "time/time_elapsed", "time/total_timesteps",
    }  # fmt: skip
    assert ours.last_metrics()["train/n_updates"] == 6
    assert {name: one.shape for name, one in ours.weights().items()} == {
        name: one.shape for name, one in theirs.weights().items()
    }


@pytest.mark.parametrize("method", ["counts", "e3b"])
def test_a_bonus_for_new_states_is_paid_and_no_return(method: str, tmp_path: Path) -> None:
    experiment = Experiment.from_dict(
        {
            "env": "FrozenLake-v1",
            "observe": None,
            "steps": 256,
            "num_envs": 4,
            "algorithm": {"name": "ppo", "settings": SMALL},
            "explore": {"method": method, "weight": 9},
        }
    )
    run = train(experiment, out=tmp_path / "run", model=reader(), engine=RLlib())
    episodes = run.episodes()
    assert {row["return"] for row in episodes} <= {0.0, 1.0}
    assert np.mean([row["explore/bonus"] for row in episodes]) > 1
    assert 4 < run.last_metrics()["explore/states"] <= 16
    assert run.weights()["explore.scale.count"] > 100
    assert set(evaluate(run, 2).returns) <= {0.0, 1.0}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env", "settings", "act"),
    [
        ("tests.number_tasks:Greatest", {"start": 3}, None),
        ("tests.number_tasks:Greatest", {"start": -2, "masked": False}, None),
        ("Pendulum-v1", {}, None),
        ("Pendulum-v1", {}, Act()),
        ("FrozenLake-v1", {}, None),
        ("Blackjack-v1", {}, None),
    ],
)
def test_every_kind_of_space_trains_and_evaluates(
    env: str, settings: dict[str, Any], act: Act | None, tmp_path: Path
) -> None:
    experiment = Experiment(
        env=env,
        env_settings=settings,
        steps=64,
        num_envs=2,
        max_episode_steps=12,
        algorithm=Algorithm("ppo", SMALL, (8,)),
        observe=None,
        act=act,
    )
    run = train(experiment, out=tmp_path / "run", engine=RLlib())
    assert run.episodes()
    assert len(evaluate(run, 2).returns) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "env"),
    [("dqn", "CartPole-v1"), ("dqn", "FrozenLake-v1"), ("sac", "Pendulum-v1")],
)
def test_algorithms_that_learn_from_older_steps(name: str, env: str, tmp_path: Path) -> None:
    experiment = Experiment(
        env=env,
        steps=120,
        num_envs=2,
        max_episode_steps=12,
        algorithm=Algorithm(name, {"learning_starts": 20, "batch_size": 8}, (8,)),
        observe=None,
    )
    ours = train(experiment, out=tmp_path / "ours", engine=RLlib())
    theirs = train(experiment, out=tmp_path / "theirs")
    # A round goes on while an environment of a vector resets.
    assert 120 <= ours.steps <= 140
    updates = ours.last_metrics()["train/n_updates"]
    per_update = {"dqn": 4, "sac": 1}[name] * experiment.num_envs
    assert updates == pytest.approx((ours.steps - 20) / per_update, abs=3)
    assert len(evaluate(ours, 2).returns) == 2
    assert {name: one.shape for name, one in ours.weights().items()} == {
        name: one.shape for name, one in theirs.weights().items()
    }


@pytest.mark.slow
def test_appo_learns_while_runners_play_on(tmp_path: Path) -> None:
    settings = {"n_steps": 16, "learning_rate": 0.003, "gamma": 0.9}
    experiment = replace(lamps(512), algorithm=Algorithm("appo", settings, (32,)))
    run = train(experiment, out=tmp_path / "run", engine=RLlib(), model=reader())
    assert {"train/policy_gradient_loss", "train/value_loss"} <= set(run.last_metrics())
    assert len(evaluate(run, 4, model=reader()).returns) == 4
    tuned_too = replace(experiment, act=Act("score", tune=tuned("lora")))
    with pytest.raises(ConfigError, match="appo keeps an older policy"):
        train(tuned_too, out=tmp_path / "tuned", engine=RLlib())


@pytest.mark.slow
# Ray's own data package reads settings that Ray has deprecated.
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data")
def test_another_process_learns(tmp_path: Path) -> None:
    settings = {"n_steps": 64, "batch_size": 128, "learning_rate": 0.01}
    experiment = replace(lamps(1024), algorithm=Algorithm("ppo", settings, (32,)))
    engine = RLlib(env_runners=1, learners=1)
    run = train(experiment, out=tmp_path / "run", engine=engine, model=reader())
    assert run.environment["learners"] == 1
    assert run.last_metrics()["train/n_updates"] == 40
    assert evaluate(run, 60, model=reader()).mean > 0.6


@pytest.mark.slow
def test_equal_seeds_give_equal_metrics(tmp_path: Path) -> None:
    rows = []
    for i, seed in enumerate((0, 0, 1)):
        run = train(lamps(512), seed, out=tmp_path / str(i), engine=RLlib(), model=reader())
        rows.append(
            [{k: v for k, v in row.items() if not k.startswith("time/")} for row in run.metrics()]
        )
    assert rows[0] == rows[1] != rows[2]


def test_a_watcher_stops_a_training(tmp_path: Path) -> None:
    class Once(Watcher):
        def update(self, training):
            return True

    run = train(lamps(2048), out=tmp_path / "run", engine=RLlib(), model=reader(),
                watchers=[Once()])  # fmt: skip
    assert run.status == "finished"
    assert 256 <= run.steps < 300


def test_an_error_of_the_environment_ends_a_training(tmp_path: Path) -> None:
    experiment = Experiment(
        env="tests.faulty_env:Faulty",
        env_settings={"what": "reward nan"},
        steps=64,
        num_envs=2,
        observe=None,
        algorithm=Algorithm("ppo", SMALL, (8,)),
    )
    for runners in (0, 1):
        out = tmp_path / str(runners)
        with pytest.raises(SpaceError, match="the reward is nan") as error:
            train(experiment, out=out, engine=RLlib(env_runners=runners))
        assert error.value.cure


class Killing(Looking):
    """Kills a runner after the second round, and stops when another one has taken its place."""

    def update(self, training):
        super().update(training)
        if len(self.rounds) == 2:
            os.kill(self.rounds[-1][0]["pid"], signal.SIGKILL)
        return len(self.pids) == 3 and training.steps > 1024

    @property
    def pids(self) -> set[int]:
        return {one["pid"] for found in self.rounds for one in found}


def lit(texts):
    return [float("lamp" in text) for text in texts]


@dataclass(frozen=True)
class Noting:
    """A role that keeps notes, as a judge in words does."""

    prior: ClassVar[str] = "none"
    uses_model: ClassVar[bool] = False
    controls: ClassVar[tuple[Control, ...]] = ()

    def wrap(self, env, context):
        return NotingVector(env)


class NotingVector(RoleVector):
    def prepare(self, sample, notes):
        self.notes = notes
        notes.append("noting.jsonl", {"what": "prepared", "pid": os.getpid()})

    def step(self, actions):
        self.notes.append("noting.jsonl", {"what": "step", "pid": os.getpid()})
        return self.env.step(actions)


def test_two_runners_train_one_policy_though_one_is_killed(tmp_path: Path) -> None:
    killing = Killing()
    experiment = lamps(100_000, reward=Reward(terms={"lit": Term(use=f"{__name__}:lit")}))
    run = train(
        experiment.replaced({"roles": {"noting": {"use": f"{__name__}:Noting"}}}),
        out=tmp_path / "run",
        engine=RLlib(env_runners=2),
        model=reader(),
        watchers=[killing],
    )
    assert run.status == "finished"
    assert run.steps < 100_000
    assert run.environment["env_runners"] == 2
    assert evaluate(run, 60, model=reader()).mean > 0.6
    rows = run.episodes()
    assert {row["env"] for row in rows} == {0, 1, 2, 3}
    assert [row["step"] for row in rows] == sorted(row["step"] for row in rows)
    assert rows[-1]["step"] <= run.steps
    assert all("reward/lit" in row for row in rows)
    assert run.last_metrics()["model/texts"] > run.steps
    # Each runner's notes reach the run folder; what is noted before the training stands there once.
    noted = read_rows(run.path / "noting.jsonl", cure="")
    prepared = [row["pid"] for row in noted if row["what"] == "prepared"]
    assert prepared == [os.getpid()]
    assert len({row["pid"] for row in noted if row["what"] == "step"} & killing.pids) >= 2
    first, second = killing.rounds[-1]
    assert {first["pid"], second["pid"]} != {one["pid"] for one in killing.rounds[0]}
    assert len({*first["seeds"], *second["seeds"]}) == 4
    for what in ("observer", "weights"):
        for name, one in first[what].items():
            np.testing.assert_array_equal(one, second[what][name])
    saved = run.weights()
    for name, one in first["observer"].items():
        np.testing.assert_array_equal(one, saved[f"observer.{name}"])
    for name, one in killing.rounds[0][0]["observer"].items():
        np.testing.assert_array_equal(one, first["observer"][name])


def test_the_command_line_trains_a_model_in_a_runner(
    tiny_llama: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two runners with a model of the score policy are those of `test_two_nodes`.
    seen: list[Any] = []
    close = RLlibTraining.close

    def looking(training: RLlibTraining) -> None:
        group = training._algorithm.env_runner_group
        seen.extend(group.foreach_env_runner(seen_of, local_env_runner=False))
        close(training)

    monkeypatch.setattr(RLlibTraining, "close", looking)
    file, out = tmp_path / "experiment.yaml", tmp_path / "run"
    file.write_text(recall("hybrid", tuned("lora"), tiny_llama).to_yaml())
    typed = ["train", str(file), "--engine", "rllib", "--env-runners", "1", "--seed", "3"]
    done = CliRunner().invoke(app, [*typed, "--out", str(out), "--set", "steps=1536"])
    assert done.exit_code == 0, done.output
    assert f"run folder: {out}" in done.output
    run = Run(out)
    assert (run.status, run.steps, run.seed) == ("finished", 1536, 3)
    assert (run.environment["engine"], run.environment["env_runners"]) == ("rllib", 1)
    assert abs(run.last_metrics()["train/first_ratio"] - 1) < 1e-4
    assert evaluate(run, 60).mean > 0.6
    (runner,) = seen
    assert runner["pid"] != os.getpid()
    saved = {name: one for name, one in run.weights().items() if name.startswith("policy.")}
    # Nothing but what is trained travels.
    assert set(runner["weights"]) == set(saved)
    assert all("lora" in name for name in runner["weights"] if "reader.model" in name)
    assert any("lora" in name for name in runner["weights"])
    for name, one in runner["weights"].items():
        np.testing.assert_array_equal(one, saved[name])


@pytest.mark.slow
def test_a_replica_answers_for_the_runners_and_comes_back(tiny_llama: Any, tmp_path: Path) -> None:
    class KillingReplica(Watcher):
        calls = 0

        def update(self, training):
            import ray

            (replica,) = training._replicas
            if training.steps < 200:
                ray.kill(replica, no_restart=False)
            else:
                self.calls = len(ray.get(replica.sizes.remote()))

    killing = KillingReplica()
    settings = {"n_steps": 64, "batch_size": 128, "n_epochs": 1}
    experiment = Experiment(
        env="CartPole-v1",
        steps=384,
        num_envs=2,
        algorithm=Algorithm("ppo", settings, (8,)),
        model=tiny_llama,
        observe=Observe(pooling=("last",), freeze_after=32),
    )
    run = train(
        experiment,
        out=tmp_path / "run",
        engine=RLlib(env_runners=1, model_replicas=1),
        watchers=[killing],
    )
    assert run.environment["model_replicas"] == 1
    assert run.steps >= 384
    assert killing.calls > 0
    assert run.last_metrics()["model/tokens"] > 1000
    assert evaluate(run, 2).returns


def test_runners_share_the_copies_equally(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="num_envs is 4, which 3 runners cannot share"):
        train(lamps(64), out=tmp_path / "run", engine=RLlib(env_runners=3), model=reader())
