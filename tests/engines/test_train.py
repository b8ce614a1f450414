from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dragoman.agents.evaluate import CutWarning, evaluate, evaluate_random
from dragoman.describe.environment import EnvDescriber
from dragoman.engines.folder import New
from dragoman.engines.train import train
from dragoman.errors import ConfigError, RunError
from dragoman.experiment import Algorithm, Describe, Experiment
from dragoman.models.spec import ModelSpec
from dragoman.roles.observe.settings import Observe
from dragoman.run import Run
from dragoman.testing import ScriptedModel
from tests.number_reader import read_numbers
from tests.text_tasks import bag_of_words, says_the_colour

COUNTING = "tests.counting_env:Counting"
SMALL = {"n_steps": 8, "batch_size": 16, "n_epochs": 1}


def model() -> ScriptedModel:
    return ScriptedModel(read_numbers)


def without_clock(rows: list[dict]) -> list[dict]:
    return [
        {key: value for key, value in row.items() if not key.startswith("time/")} for row in rows
    ]


def test_one_seed_one_result(tmp_path: Path) -> None:
    experiment = Experiment(
        env="CartPole-v1", steps=200, num_envs=2, algorithm=Algorithm("ppo", SMALL)
    )
    runs = [
        train(experiment, seed, out=tmp_path / str(i), model=model())
        for i, seed in enumerate((0, 0, 1))
    ]
    first, again, other = (without_clock(run.metrics()) for run in runs)
    assert first == again
    assert first != other
    assert len(first) == 13
    assert runs[0].episodes() == runs[1].episodes()
    for name, tensor in runs[0].weights().items():
        np.testing.assert_array_equal(tensor, runs[1].weights()[name])


@pytest.mark.parametrize(
    ("name", "env_id", "settings"),
    [
        ("ppo", "CartPole-v1", SMALL),
        ("a2c", "CartPole-v1", {"n_steps": 8}),
        ("dqn", "CartPole-v1", {"learning_starts": 20}),
        ("recurrent-ppo", "CartPole-v1", SMALL),
        ("sac", "Pendulum-v1", {"learning_starts": 20}),
        ("td3", "Pendulum-v1", {"learning_starts": 20}),
    ],
)
@pytest.mark.parametrize("observe", [Observe(), None])
def test_every_algorithm_trains_and_evaluates(
    name: str, env_id: str, settings: dict, observe: Observe | None, tmp_path: Path
) -> None:
    experiment = Experiment(
        env=env_id,
        steps=64,
        num_envs=2,
        max_episode_steps=10,
        algorithm=Algorithm(name, settings, (8,)),
        observe=observe,
    )
    run = train(experiment, out=tmp_path / "run", model=model())
    assert run.status == "finished"
    assert run.steps >= 64
    assert run.metrics()
    assert run.episodes()
    evaluation = evaluate(run, 3, model=model())
    assert evaluate(run, 3, model=model()) == evaluation
    assert all(episode.length <= 10 for episode in evaluation.episodes)
    assert bool(observe) == any(key.startswith("observer.") for key in run.weights())


def test_what_may_never_end_is_not_trained_on(tmp_path: Path) -> None:
    experiment = Experiment(env="CliffWalking-v1", steps=16, num_envs=2)
    with pytest.raises(ConfigError, match="has no time limit") as error:
        train(experiment, out=tmp_path / "run", model=model())
    assert "max_episode_steps: 200" in error.value.cure
    assert not (tmp_path / "run").exists()
    limited = experiment.replaced({"max_episode_steps": 200, "algorithm.settings": SMALL})
    assert train(limited, out=tmp_path / "run", model=model()).status == "finished"


def test_exact_texts_reach_the_model(tmp_path: Path) -> None:
    experiment = Experiment(
        env="CartPole-v1",
        steps=16,
        num_envs=2,
        algorithm=Algorithm("ppo", SMALL),
        describe=Describe(exact=True),
    )
    reader = ScriptedModel(lambda text: [float(len(text))])
    train(experiment, out=tmp_path / "run", model=reader)
    texts = [text for call in reader.calls for text in call if text.startswith("cart position")]
    assert len(texts) >= 16
    assert all(" Exactly: " in text for text in texts)


@pytest.mark.slow
def test_learns_cartpole_from_text(tmp_path: Path) -> None:
    settings = {"n_steps": 32, "batch_size": 256, "n_epochs": 20, "gae_lambda": 0.8}
    settings |= {"gamma": 0.98, "learning_rate": 0.001}
    experiment = Experiment(
        env="CartPole-v1",
        steps=12_000,
        num_envs=8,
        algorithm=Algorithm("ppo", settings),
        describe=Describe(limits=False),
    )
    run = train(experiment, out=tmp_path / "run", model=model())
    random = evaluate_random(experiment, 10)
    assert evaluate(run, 10, model=model()).mean > 150 > 5 * random.mean / 2


def test_known_returns_reach_the_run_folder(tmp_path: Path) -> None:
    experiment = Experiment(
        env=COUNTING,
        env_settings={"first": 3},
        steps=20,
        num_envs=1,
        algorithm=Algorithm("a2c", {"n_steps": 5}),
        observe=None,
    )
    run = train(experiment, out=tmp_path / "run")
    rows = [(row["return"], row["length"], row["truncated"]) for row in run.episodes()]
    assert rows == [(6.0, 3, False), (10.0, 4, True), (15.0, 5, False), (21.0, 6, True)]
    # Every evaluated episode is the first of an environment of its own.
    evaluation = evaluate(run, 4)
    assert [(e.episode_return, e.length, e.terminated) for e in evaluation.episodes] == [
        (6.0, 3, True)
    ] * 4
    assert evaluate_random(experiment, 2).returns == [6.0, 6.0]


def test_a_run_without_a_folder_lies_directly_below_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    experiment = Experiment(
        env="dragoman/CVRP-v0",
        steps=8,
        num_envs=2,
        observe=None,
        algorithm=Algorithm("a2c", {"n_steps": 4}, (4,)),
    )
    assert train(experiment, 3).path == Path("runs/dragoman-CVRP-v0-a2c-3")


def test_agents_are_evaluated_in_an_environment_of_other_settings(tmp_path: Path) -> None:
    experiment = Experiment(
        env="FrozenLake-v1",
        env_settings={"desc": ["SF", "HH"], "is_slippery": False},
        max_episode_steps=20,
        steps=32,
        num_envs=2,
        observe=None,
        algorithm=Algorithm(settings={"n_steps": 16, "batch_size": 32}, network=(4,)),
    )
    run = train(experiment, out=tmp_path / "run")
    easy = {"desc": ["SG", "GG"]}
    assert max(evaluate(run, 4, sampled=True).returns) == 0.0
    assert evaluate(run, 4, sampled=True, env_settings=easy).mean > 0.0
    assert evaluate_random(experiment, 4).mean == 0.0
    assert evaluate_random(experiment, 4, env_settings=easy).mean > 0.0


def test_the_random_policy_draws_from_allowed_actions() -> None:
    # Two steps put one object away; a command that is not valid would cost a step more.
    experiment = Experiment(env="dragoman/TidyHouse-v0", env_settings={"num_objects": 2})
    played = evaluate_random(experiment, 30)
    assert {episode.length for episode in played.episodes} == {4}


def test_one_policy_plays_the_same_alone_and_among_others(tmp_path: Path) -> None:
    experiment = Experiment(
        env="CartPole-v1", steps=64, num_envs=2, algorithm=Algorithm("ppo", SMALL)
    )
    run = train(experiment, out=tmp_path / "run", model=model())
    many = evaluate(run, 5, model=model())
    assert evaluate(run, 2, model=model()).episodes == many.episodes[:2]
    assert evaluate(run, 5, seed=1, model=model()).episodes != many.episodes


def test_weights_hold_no_language_model_and_no_pickle(tmp_path: Path) -> None:
    experiment = Experiment(
        env="CartPole-v1", steps=200, num_envs=2, algorithm=Algorithm("ppo", SMALL)
    )
    run = train(experiment, out=tmp_path / "run", model=model())
    assert all(key.startswith(("policy.", "observer.")) for key in run.weights())
    suffixes = {file.name.split(".")[0] for file in run.path.iterdir()}
    assert suffixes == {
        "config", "env", "status", "metrics", "episodes", "weights", "events",
    }  # fmt: skip


def test_an_endless_episode_is_stopped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dragoman.agents.evaluate.MOST_STEPS", 50)
    experiment = Experiment(env=COUNTING, env_settings={"first": 60}, observe=None)
    with pytest.warns(CutWarning, match="2 of 2 episodes of 'Counting-v0' had not ended after 50"):
        result = evaluate_random(experiment, 2)
    assert result.stopped == 2
    assert result.to_dict()["episodes"][0]["stopped"]
    assert [episode.length for episode in result.episodes] == [50, 50]
    assert result.mean == 50 * 51 / 2
    assert not any(episode.terminated for episode in result.episodes)
    # A time limit of the environment's own, and a number that is given, are the user's word.
    limited = replace(experiment, max_episode_steps=55)
    for played in (evaluate_random(limited, 2), evaluate_random(experiment, 2, max_steps=60)):
        assert played.stopped == 0
        assert {episode.length for episode in played.episodes} <= {55, 60}
    with pytest.raises(ConfigError, match="max_steps is 0"):
        evaluate_random(experiment, 2, max_steps=0)


def test_an_agent_that_never_ends_an_episode_is_evaluated(tmp_path: Path) -> None:
    experiment = Experiment(
        env=COUNTING,
        env_settings={"first": 1000},
        steps=32,
        num_envs=2,
        algorithm=Algorithm("ppo", SMALL, (8,)),
        observe=None,
    )
    run = train(experiment, out=tmp_path / "run")
    assert run.episodes() == []
    with pytest.warns(CutWarning):
        assert evaluate(run, 3, max_steps=40).stopped == 3


def test_a_taken_folder_and_no_episodes_are_refused(tmp_path: Path) -> None:
    experiment = Experiment(
        env="CartPole-v1", steps=16, num_envs=2, algorithm=Algorithm("ppo", SMALL), observe=None
    )
    run = train(experiment, out=tmp_path / "run")
    with pytest.raises(RunError, match="not empty"):
        train(experiment, out=tmp_path / "run")
    with pytest.raises(ConfigError, match="episodes is 0"):
        evaluate(run, 0)


def test_a_disk_without_room_is_refused_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=2**20))
    experiment = Experiment(env="CartPole-v1", model=ModelSpec("no such model"))
    with pytest.raises(RunError, match=r"1.0 MiB free, and a run there needs 4.0"):
        train(experiment, out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_for_the_weights_is_refused_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=5 * 2**20))
    algorithm = Algorithm("ppo", SMALL, (512, 512))  # 1.1 million weights
    experiment = Experiment("CartPole-v1", steps=16, num_envs=2, observe=None, algorithm=algorithm)
    with pytest.raises(RunError, match=r"5.0 MiB free, and a run there needs 8\.\d"):
        train(experiment, out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_of_trainings_started_together_each_gets_a_name_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dragoman.run.writer.describe_machine", dict)
    together, names = threading.Barrier(4), []

    def take() -> None:
        for _ in range(8):
            together.wait()
            writer = New(tmp_path / "a", counts=True).writer(Experiment("CartPole-v1"), 0, {})
            names.append(writer.path.name)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names) == sorted(["a", *(f"a-{number}" for number in range(2, 33))])


TRAIN = "import dragoman, sys; dragoman.train(sys.argv[1], out=sys.argv[3])"


@pytest.mark.parametrize(
    ("sign", "code", "call"),
    [
        (signal.SIGINT, 130, ("-m", "dragoman", "train")),
        (signal.SIGTERM, 143, ("-c", TRAIN)),
    ],
)
def test_a_stop_leaves_a_run_that_loads(
    sign: signal.Signals, code: int, call: tuple[str, ...], tmp_path: Path
) -> None:
    config = tmp_path / "experiment.yaml"
    config.write_text("env: CartPole-v1\nobserve: null\nsteps: 100000000\n")
    out = tmp_path / "run"
    command = [sys.executable, *call, str(config), "--out", str(out)]
    # A shell starts background jobs with Ctrl-C ignored, and children inherit that.
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 120
    while not (out / "metrics.jsonl").exists():
        assert time.monotonic() < deadline, "the training did not start"
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    process.send_signal(sign)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert ("saved" in errors) == (call[0] == "-m")
    run = Run(out)
    assert run.status == "interrupted"
    assert run.steps > 0
    assert len(evaluate(run, 2).episodes) == 2


def length(texts: list[str]) -> list[float]:
    return [float(len(text)) for text in texts]


@pytest.mark.parametrize("history", [0, 2])
@pytest.mark.parametrize("roles", [("observe",), ("reward",), ("observe", "act", "reward")])
def test_a_step_is_described_once_whatever_roles_are_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, roles: tuple[str, ...], history: int
) -> None:
    described = []
    observation = EnvDescriber.observation

    def counted(self: EnvDescriber, *given: Any) -> str:
        described.append(given)
        return observation(self, *given)

    monkeypatch.setattr(EnvDescriber, "observation", counted)
    all_roles = {
        "observe": {"standardise": False},
        "act": {"policy": "score"},
        "reward": {"use": "tests.engines.test_train:length"},
    }
    experiment = Experiment.from_dict(
        {
            "env": "tests.text_tasks:Lamps",
            "env_settings": {"length": 3},
            "steps": 64,
            "num_envs": 2,
            "algorithm": {"name": "ppo", "settings": SMALL},
            "describe": {"history": history},
            **{name: all_roles[name] if name in roles else None for name in all_roles},
        }
    )
    asked = ScriptedModel(bag_of_words, log_probs=says_the_colour)
    run = train(experiment, out=tmp_path / "run", model=asked)
    # The last state of each episode, and the first of the next; before that the four of a trial.
    assert len(described) == 4 + run.steps + len(run.episodes()) + experiment.num_envs


def test_a_training_without_a_model_imports_no_transformers(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom dragoman import train\n"
        "train({'env': 'CartPole-v1', 'observe': None, 'steps': 64, 'num_envs': 2},"
        f" out={str(tmp_path / 'run')!r})\n"
        "assert 'transformers' not in sys.modules\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
