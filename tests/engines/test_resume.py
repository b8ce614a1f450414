from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from dragoman.agents.seek import seek
from dragoman.cli import app
from dragoman.engines.checkpoints import EPISODES
from dragoman.engines.folder import ResumeWarning
from dragoman.engines.sb3 import SB3
from dragoman.engines.train import train
from dragoman.engines.watcher import Training, Watcher
from dragoman.errors import BudgetError, ConfigError, RunError
from dragoman.experiment import Experiment
from dragoman.experiment.budget import Budget
from dragoman.files import write_json
from dragoman.run import Run
from dragoman.run.checkpoint import FOLDER, CheckpointWarning, read_checkpoint
from dragoman.testing import ScriptedModel
from tests.engines.resuming import (
    CASES,
    SLOW_CASES,
    Commands,
    StopAt,
    assert_same,
    experiment,
    killed_and_resumed,
    lines,
    stopped,
)
from tests.exploring import prior_model
from tests.models.remote.stub_server import StubServer


@pytest.fixture(scope="module")
def model(roomy_gpt2_path: Path) -> Path:
    return roomy_gpt2_path


def both(case: str, model: Path, folder: Path, at: tuple[int, ...]) -> None:
    """Train straight, and with stops after so many steps; compare."""
    what = experiment(case, model)
    straight = train(what, 3, out=folder / "straight")
    run = stopped(what, at[0], folder / "resumed")
    for steps in at[1:]:
        assert run.status == "interrupted"
        with pytest.raises(KeyboardInterrupt):
            train(resume=run, watchers=[StopAt(steps)])
    found = read_checkpoint(run.path)
    assert found is not None
    assert 48 <= found.steps < at[-1]
    assert_same(straight, train(resume=run))


@pytest.mark.parametrize("case", CASES)
def test_a_resumed_training_is_the_straight_one_to_the_bit(
    case: str, model: Path, tmp_path: Path
) -> None:
    both(case, model, tmp_path, (150, 230))


@pytest.mark.slow
@pytest.mark.parametrize("case", SLOW_CASES)
def test_so_it_is_with_every_algorithm_and_role(case: str, model: Path, tmp_path: Path) -> None:
    both(case, model, tmp_path, (110, 170, 230))


KILLED = {"ppo words": 240, "dqn": 720, "ppo lora": 120, "reward": 240}
"""Cases, and how many steps they are trained for where it is to be fast."""


def killed(case: str, steps: int, kills: int, model: Path, folder: Path, by: Commands) -> None:
    """Kill a training so often, and compare its end with that of one that went on."""
    straight = train(experiment(case, model, steps=steps), 3, out=folder / "straight")
    assert_same(straight, killed_and_resumed(straight, folder, kills, by, random.Random(case)))


@pytest.mark.parametrize("case", KILLED)
def test_a_process_killed_three_times_loses_nothing(
    case: str, model: Path, tmp_path: Path, by: Commands
) -> None:
    killed(case, KILLED[case], 3, model, tmp_path, by)


@pytest.mark.slow
@pytest.mark.parametrize("case", KILLED)
def test_a_process_killed_twenty_times_loses_nothing(
    case: str, model: Path, tmp_path: Path, by: Commands
) -> None:
    killed(case, 2000, 20, model, tmp_path, by)


def test_sigterm_keeps_the_last_checkpoint(model: Path, tmp_path: Path, by: Commands) -> None:
    what = experiment("ppo words", model, steps=500)
    file, out = tmp_path / "experiment.yaml", tmp_path / "run"
    file.write_text(what.to_yaml())
    process = by.start(f"train {file} --seed 3 --out {out}")
    while lines(out / "episodes.jsonl") < 12:
        time.sleep(0.002)
    os.kill(process, signal.SIGTERM)
    assert by.code() == 143
    found = read_checkpoint(out)
    assert found is not None
    assert 0 < found.steps < Run(out).steps
    by.start(f"train --resume {out}")
    assert by.code() == 0
    assert_same(train(what, 3, out=tmp_path / "straight"), Run(out))


def test_without_a_checkpoint_it_begins_again(model: Path, tmp_path: Path) -> None:
    what = experiment("reward", model)
    run = stopped(what, 30, tmp_path / "run")
    assert (run.status, read_checkpoint(run.path)) == ("interrupted", None)
    assert_same(train(what, 3, out=tmp_path / "straight"), train(resume=run.path))


def test_the_checkpoint_before_is_used_where_the_newest_is_torn(
    model: Path, tmp_path: Path
) -> None:
    what = experiment("dqn", model)
    run = stopped(what, 230, tmp_path / "run")
    _, newest = sorted((run.path / FOLDER).glob("*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:-9])
    with pytest.warns(CheckpointWarning, match="damaged"):
        resumed = train(resume=run)
    assert_same(train(what, 3, out=tmp_path / "straight"), resumed)


def test_checkpoints_wait_for_whole_episodes(tmp_path: Path) -> None:
    # Episodes of 200 steps, of which none would end within 48.
    base = {"env": "Pendulum-v1", "observe": None, "checkpoint": 48, "num_envs": 2, "steps": 2000}
    run = stopped(Experiment.from_dict({**base, "algorithm": "a2c"}), 1990, tmp_path / "run")
    found = read_checkpoint(run.path)
    assert found is not None
    assert found.steps == 2 * 200 * EPISODES
    assert len(run.episodes()) == 2 * EPISODES


def test_short_trainings_take_no_checkpoint(tmp_path: Path, model: Path) -> None:
    what = experiment("dqn", model).replaced({"checkpoint": {}})
    run = stopped(what, 200, tmp_path / "default")
    assert not (run.path / FOLDER).exists()
    off = stopped(what.replaced({"checkpoint": "off"}), 200, tmp_path / "off")
    assert off.episodes() == run.episodes()


def test_a_budget_goes_on_where_it_was(tmp_path: Path, model: Path) -> None:
    what = experiment("ppo words", model).replaced({"observe.model": None})

    def reader() -> ScriptedModel:
        return ScriptedModel(lambda text: [len(text), text.count("1")])

    budget = Budget("tokens", 13_500)
    straight = train(what, 3, out=tmp_path / "straight", budget=budget, model=reader())
    run = stopped(what, 150, tmp_path / "run", budget=budget, model=reader())
    assert_same(straight, train(resume=run, model=reader()))
    assert 150 < straight.steps != what.steps
    assert straight.last_metrics()["model/tokens"] >= 13_000


def test_the_spending_cap_of_a_server_goes_on(tmp_path: Path, model: Path) -> None:
    def answer(path: str, body: Any) -> Any:
        data = [{"index": i, "embedding": [1.0, len(t)]} for i, t in enumerate(body["input"])]
        return {"data": data, "usage": {"prompt_tokens": 100 * len(data)}}

    def spent(steps: int, tokens: int, name: str) -> Run:
        server = {"name": "tiny", "server": stub.url, "tokens": tokens, "retries": 0}
        what = experiment("ppo words", model).replaced(
            {"observe": {"pooling": ["last"]}, "model": server}
        )
        return stopped(what, steps, tmp_path / name)

    with StubServer(answer) as stub:
        spent(240, 10**6, "straight")
        asked = sum(len(body["input"]) for body in stub.bodies)
        run = spent(150, 85 * asked, "run")
        assert run.status == "interrupted"
        with pytest.raises(BudgetError, match=r"spent: \d+ of"):
            train(resume=run)
        # All that was asked after the checkpoint is asked again.
        assert run.steps > 150


def test_demonstrations_stay_in_the_memory(tmp_path: Path) -> None:
    data: dict[str, Any] = {
        "env": "tests.exploring:Chain",
        "describe": {"use": "tests.exploring:ChainTold"},
        "observe": None,
        "num_envs": 2,
        "steps": 480,
        "checkpoint": 48,
    }
    seek({**data, "steps": 400}, out=tmp_path / "ways", model=prior_model(), keep=1)
    settings = {"learning_starts": 16, "batch_size": 16, "buffer_size": 200}
    dqn = {"name": "dqn", "demonstrations": str(tmp_path / "ways"), "network": [8]}
    what = Experiment.from_dict({**data, "algorithm": {**dqn, "settings": settings}})
    straight = train(what, 3, out=tmp_path / "straight")
    run = stopped(what, 400, tmp_path / "run")
    found = read_checkpoint(run.path)
    assert found is not None
    assert found.steps < 400
    assert_same(straight, train(resume=run))


class Counts(Watcher):
    """A watcher with a state of its own."""

    resumes = ("rollouts",)

    def __init__(self) -> None:
        self.rollouts = 0

    def rollout(self, training: Training, rollout: object) -> None:
        self.rollouts += 1
        training.record("own/rollouts", self.rollouts)


def test_watchers_of_a_user_go_on(tmp_path: Path, model: Path) -> None:
    what = experiment("ppo words", model)
    straight = train(what, 3, out=tmp_path / "straight", watchers=[Counts()])
    with pytest.raises(KeyboardInterrupt):
        train(what, 3, out=tmp_path / "run", watchers=[Counts(), StopAt(200)])
    assert_same(straight, train(resume=tmp_path / "run", watchers=[Counts()]))


def test_what_cannot_go_on_is_refused(tmp_path: Path, model: Path) -> None:
    what = experiment("ppo words", model)
    run = stopped(what, 150, tmp_path / "run")
    rows = (run.path / "episodes.jsonl").read_bytes()
    for settings, problem in (
        ({"experiment": what}, "experiment is"),
        ({"seed": 4}, "seed is 4"),
        ({"out": tmp_path / "other"}, "out is"),
        ({"model": "words"}, "model is 'words'"),
        ({"engine": "rllib"}, "begun with the engine sb3, and rllib cannot"),
    ):
        with pytest.raises(ConfigError, match=problem) as caught:
            train(resume=run, **settings)
        assert caught.value.cure
    with pytest.raises(ConfigError, match="nothing is named to train"):
        train()
    status = (run.path / "status.json").read_bytes()
    (run.path / "status.json").write_bytes(status.replace(b"interrupted", b"running"))
    with pytest.raises(RunError, match="is in training"):
        train(resume=run)
    (run.path / "status.json").write_bytes(status)
    with (
        FileLock(run.path / FOLDER / ".lock"),
        pytest.raises(RunError, match="in training in another process"),
    ):
        train(resume=run)
    config = (run.path / "config.yaml").read_bytes()
    (run.path / "config.yaml").write_bytes(config.replace(b"num_envs: 2", b"num_envs: 4"))
    with pytest.raises(RunError, match=r"config.yaml is not what the run was begun with"):
        train(resume=run.path)
    (run.path / "config.yaml").write_bytes(config)
    assert (run.path / "episodes.jsonl").read_bytes() == rows
    finished = train(resume=run.path)
    with pytest.raises(RunError, match="has finished its 240 steps"):
        train(resume=finished)


class Forgetful(SB3):
    """An engine of another's that keeps no state."""

    can_resume = False


def test_another_model_or_version_or_engine_is_told(tmp_path: Path, model: Path) -> None:
    run = stopped(experiment("reward", model), 30, tmp_path / "run")
    record = run.environment
    write_json(run.path / "env.json", {**record, "model_fingerprint": "other"})
    with pytest.raises(RunError, match="whose weights have the fingerprint other"):
        train(resume=run)
    with pytest.raises(ConfigError, match="the engine sb3, whose trainings cannot be resumed"):
        train(resume=run, engine=Forgetful())
    write_json(run.path / "env.json", {**record, "versions": {"torch": "1.0"}})
    with pytest.warns(ResumeWarning, match=r"begun with torch 1.0 and goes on with"):
        train(resume=run, engine=SB3())


def test_the_command_line_resumes(tmp_path: Path, model: Path) -> None:
    run = stopped(experiment("dqn", model), 200, tmp_path / "run")
    runner = CliRunner()
    nothing = runner.invoke(app, ["train"])
    assert nothing.exit_code == 2
    assert "--resume" in nothing.output
    both = runner.invoke(app, ["train", "--resume", str(run.path), "--set", "steps=9"])
    assert isinstance(both.exception, ConfigError)
    done = runner.invoke(app, ["train", "--resume", str(run.path)])
    assert done.exit_code == 0, done.output
    assert run.status == "finished"
