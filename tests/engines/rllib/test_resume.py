"""Trainings on RLlib that are stopped and go on."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from dragoman.agents.evaluate import evaluate
from dragoman.cli import app
from dragoman.comparison import runner as comparing
from dragoman.comparison.jobs import _StepReport
from dragoman.comparison.runner import Event, compare
from dragoman.engines.folder import ResumeWarning
from dragoman.engines.rllib import RLlib
from dragoman.engines.rllib.processes import Processes
from dragoman.engines.train import train
from dragoman.experiment import Experiment
from dragoman.run import Run
from dragoman.run.checkpoint import read_checkpoint
from tests.comparison.small_comparisons import InProcess, make_comparison
from tests.engines.resuming import (
    CASES,
    LAKE,
    PPO,
    SLOW_CASES,
    StopAt,
    assert_same,
    commands,
    experiment,
    killed_and_resumed,
    stopped,
)

pytestmark = pytest.mark.usefixtures("cluster_of_three")
# A buffer that forgets its first episodes: SB3's n_steps are no setting here.
REPLAYING = {"learning_starts": 16, "batch_size": 16, "buffer_size": 100}
CHANGES: dict[str, dict[str, Any]] = {"dqn": {"algorithm.settings": REPLAYING}}
ELSEWHERE = ("sde", "td3", "a2c observe", "dqn small buffer", "write", "recurrent")
"""What this engine does not have."""


def both(case: str, model: Path, folder: Path, at: int = 200) -> None:
    """Train straight, and with a stop after so many steps; compare."""
    what = experiment(case, model).replaced(CHANGES.get(case, {}))
    straight = train(what, 3, out=folder / "straight", engine=RLlib())
    run = stopped(what, at, folder / "resumed", engine=RLlib())
    assert run.status == "interrupted"
    found = read_checkpoint(run.path)
    assert found is not None
    assert 48 <= found.steps < at
    assert_same(straight, train(resume=run))


@pytest.mark.parametrize("case", ["dqn", "ppo lora"])
def test_a_resumed_training_of_one_process_is_the_straight_one_to_the_bit(
    case: str, roomy_gpt2_path: Path, tmp_path: Path
) -> None:
    both(case, roomy_gpt2_path, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [case for case in {**CASES, **SLOW_CASES} if case not in ("dqn", "ppo lora", *ELSEWHERE)],
)
def test_so_it_is_with_every_algorithm_and_role(
    case: str, roomy_gpt2_path: Path, tmp_path: Path
) -> None:
    both(case, roomy_gpt2_path, tmp_path)


class Looking:
    """Notes what each process has when it begins anew, at a checkpoint or from one."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.seen: list[dict[str, Any]] = []
        restart = Processes.restart

        def looking(processes: Processes, seed: int) -> None:
            restart(processes, seed)
            self.seen.append(
                {
                    "learner": processes.learner,
                    "roles": [one["roles"] for one in processes.runners],
                    "weights": processes._runners(weights_of),
                    "seeds": [seed for own in processes._runners(seeds_of) for seed in own],
                }
            )

        patch.setattr(Processes, "restart", looking)


def weights_of(runner: Any) -> Any:
    # Of this process they are the weights themselves, which change.
    return {name: one.numpy().copy() for name, one in runner.module.state_dict().items()}


def seeds_of(runner: Any) -> Any:
    return [*runner._seed, runner.num_env_steps_sampled_lifetime]


def assert_equal(one: Any, other: Any) -> None:
    np.testing.assert_equal(one, other)


def counting(**changes: Any) -> Experiment:
    """Return a training whose runners remember what they have met."""
    base = {**LAKE, "observe": None, "explore": "counts", "algorithm": PPO, "num_envs": 2}
    return Experiment.from_dict({**base, "steps": 160, "checkpoint": 48, **changes})


def check_rows(run: Run, steps: int, cut: list[dict[str, Any]]) -> None:
    """Look that no step was counted twice, and that rows before the checkpoint stand as before."""
    metrics, episodes = run.metrics(), run.episodes()
    at = [row["step"] for row in metrics]
    assert at == sorted(set(at))
    assert [row["step"] for row in episodes] == sorted(row["step"] for row in episodes)
    assert [row for row in episodes if row["step"] <= steps] == cut
    assert metrics[-1]["rollout/episodes"] == len([1 for row in episodes if row["step"] <= at[-1]])
    updates = [row["train/n_updates"] for row in metrics]
    assert updates == sorted(set(updates))
    taken: dict[int, int] = {}
    for row in episodes:
        taken[row["env"]] = taken.get(row["env"], 0) + row["length"]
    assert sum(taken.values()) <= run.steps


@pytest.mark.parametrize("before", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_the_command_line_goes_on_with_another_number_of_runners(
    before: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking = Looking(monkeypatch)
    run = stopped(counting(), 140, tmp_path / "run", engine=RLlib(env_runners=before))
    found = read_checkpoint(run.path)
    assert found is not None
    cut = [row for row in run.episodes() if row["step"] <= found.steps]
    last = looking.seen[-1]
    assert len(set(last["seeds"])) == 3
    looking.seen.clear()
    done = CliRunner().invoke(app, ["train", "--resume", str(run.path), "--env-runners", "1"])
    assert done.exit_code == 0, done.output
    first = looking.seen[0]
    assert_equal(first["learner"], last["learner"])
    (weights,) = first["weights"]
    assert_equal(weights, {name: first["learner"]["network"][name] for name in weights})
    # Seeds of two copies, and the steps that RLlib has counted.
    assert first["seeds"][-1] == last["seeds"][-1] == found.steps
    # What one runner had met, and how often, is what the only one has met now.
    known = last["roles"] or [found.state]
    visits = [one["role explore"]["explorer"]["method"]["visits"] for one in known]
    assert visits[0] != visits[-1] or len(visits) == 1
    (now,) = first["roles"]
    explorer = now["role explore"]["explorer"]
    assert len(visits[0]) > 3
    assert_equal(explorer["method"]["visits"], visits[0])
    assert len(explorer["scale"]["running"]) == 2
    assert run.status == "finished"
    assert run.steps >= 160
    check_rows(run, found.steps, cut)


def test_a_comparison_goes_on_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "Workers", InProcess)
    other = "{observe: null, algorithm.settings: {n_steps: 8, batch_size: 16}}"
    arms = f"arms: {{one: {{observe: null}}, other: {other}}}\nbaseline: one\ncontrols: false\n"
    comparison = make_comparison(tmp_path, more=arms, seeds=1)
    comparison = replace(comparison, base={**comparison.base, "checkpoint": 16, "steps": 128})

    def stop(report: Any, training: Any, infos: object) -> None:
        if training.steps >= 100:
            raise KeyboardInterrupt

    straight = compare(comparison, tmp_path / "straight", jobs=1, engine=RLlib())
    with monkeypatch.context() as patch:
        patch.setattr(_StepReport, "step", stop)
        with pytest.raises(KeyboardInterrupt):
            compare(comparison, tmp_path / "out", jobs=1, engine=RLlib())
    events: list[Event] = []
    again = compare(comparison, tmp_path / "out", jobs=1, engine=RLlib(), on_event=events.append)
    assert [one.arm for one in events if one.kind == "resumed"] == ["one"]
    assert not [one for one in events if one.kind == "removed"]
    for arm in comparison.arms:
        assert again["arms"][arm]["scores"] == straight["arms"][arm]["scores"]


@pytest.mark.slow
def test_runners_come_and_go_with_each_stop(
    roomy_gpt2_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking = Looking(monkeypatch)
    what = experiment("reward", roomy_gpt2_path, steps=400).replaced(
        {"observe": {"pooling": ["last"], "freeze_after": 32}}
    )
    run = stopped(what, 100, tmp_path / "run", engine=RLlib())
    for number, (steps, runners) in enumerate(((200, 2), (300, 0), (10_000, 1))):
        found = read_checkpoint(run.path)
        assert found is not None
        cut = [row for row in run.episodes() if row["step"] <= found.steps]
        before = looking.seen[-1]
        texts = run.last_metrics()["model/texts"]
        looking.seen.clear()
        engine = RLlib(env_runners=runners)
        if steps == 10_000:
            train(resume=run, engine=engine)
        else:
            resume_until(run, steps, engine)
        first = looking.seen[0]
        assert_equal(first["learner"], before["learner"])
        for own in first["weights"]:
            assert_equal(own, {name: first["learner"]["network"][name] for name in own})
        check_rows(run, found.steps, cut)
        assert run.last_metrics()["model/texts"] > texts * 0.5, number
    assert run.status == "finished"
    assert evaluate(run, 2).returns


def resume_until(run: Run, steps: int, engine: RLlib) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(resume=run, engine=engine, watchers=[StopAt(steps)])


@pytest.mark.slow
def test_equal_runners_give_what_the_straight_training_gives(
    roomy_gpt2_path: Path, tmp_path: Path
) -> None:
    # Nothing promises it: a runner that is lost is enough to change it.
    straight = train(counting(), 3, out=tmp_path / "straight", engine=RLlib(env_runners=2))
    run = stopped(counting(), 140, tmp_path / "run", engine=RLlib(env_runners=2))
    assert_same(straight, train(resume=run))


@pytest.mark.slow
def test_appo_goes_on_while_another_thread_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking = Looking(monkeypatch)
    what = counting(algorithm={"name": "appo", "network": [8], "settings": {"n_steps": 8}})
    run = stopped(what.replaced({"steps": 400}), 300, tmp_path / "run", engine=RLlib(env_runners=1))
    found = read_checkpoint(run.path)
    assert found is not None
    kept = found.state["training"]["processes"]["learner"]
    looking.seen.clear()
    train(resume=run)
    assert_equal(looking.seen[0]["learner"]["network"], kept["network"])
    assert run.status == "finished"


@pytest.mark.slow
def test_a_buffer_of_another_kind_is_filled_anew(tmp_path: Path) -> None:
    buffer = {"type": "PrioritizedEpisodeReplayBuffer", "capacity": 1000, "alpha": 0.6, "beta": 0.4}
    what = counting(
        explore=None,
        algorithm={
            "name": "dqn",
            "network": [8],
            "settings": {**REPLAYING, "rllib": {"replay_buffer_config": buffer}},
        },
    )
    run = stopped(what, 140, tmp_path / "run", engine=RLlib())
    with pytest.warns(ResumeWarning, match="a PrioritizedEpisodeReplayBuffer is in no checkpoint"):
        train(resume=run)
    assert run.status == "finished"


@pytest.mark.slow
@pytest.mark.parametrize("runners", [0, 1])
def test_a_killed_process_goes_on(runners: int, roomy_gpt2_path: Path, tmp_path: Path) -> None:
    what = experiment("reward", roomy_gpt2_path, steps=400)
    options = f"--engine rllib --env-runners {runners}"
    straight = train(what, 3, out=tmp_path / "straight", engine=RLlib())
    with commands() as by:
        run = killed_and_resumed(straight, tmp_path, 2, by, random.Random(1), options)
    assert run.status == "finished"
    assert run.environment["env_runners"] == runners
    check_rows(run, 0, [])
    if not runners:
        assert_same(straight, run)
