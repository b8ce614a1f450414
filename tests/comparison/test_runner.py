from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from dragoman.comparison import runner as comparing
from dragoman.comparison.comparison import Comparison
from dragoman.comparison.file import read_comparison
from dragoman.comparison.folder import ComparisonFolder
from dragoman.comparison.jobs import _StepReport
from dragoman.comparison.runner import Event, compare
from dragoman.comparison.workers import Workers
from dragoman.engines.watcher import Training
from dragoman.errors import ConfigError, RunError
from dragoman.experiment.budget import MOST_TIMES
from dragoman.run import Run
from dragoman.run.checkpoint import read_checkpoint
from dragoman.testing import ScriptedModel
from tests.comparison.small_comparisons import (
    InProcess,
    make_comparison,
    write_comparison,
    write_file,
)

# A rate that ruins the weights, which only shows when it trains.
BROKEN = "arms: {tiny: {}, broken: {algorithm.settings: {n_steps: 16, learning_rate: 1e30}}}\n"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give each test a cache of its own, and the others their threads back."""
    monkeypatch.setenv("DRAGOMAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(comparing, "Workers", InProcess)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def comparison(tmp_path: Path, tiny_gpt2_path: Path) -> Comparison:
    return make_comparison(tmp_path, tiny_gpt2_path, BROKEN)


def run(comparison: Comparison, out: Path, **settings) -> tuple[dict, list[Event]]:
    events: list[Event] = []
    return compare(comparison, out, on_event=events.append, **settings), events


def kinds(events: list[Event], kind: str) -> list[tuple[str, int]]:
    return [(event.arm, event.seed) for event in events if event.kind == kind]


def test_processes_give_what_one_process_gives_and_survive_a_broken_arm(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    comparison = replace(comparison, seeds=(1,))
    serial, _ = run(comparison, tmp_path / "serial", jobs=1)
    monkeypatch.setattr(comparing, "Workers", Workers)
    parallel, events = run(comparison, tmp_path / "parallel", jobs=2)
    names = ["tiny", "broken", "no-model", "random-weights", "learned-embedding"]
    assert list(parallel["arms"]) == names
    for name in names:
        for key in ("scores", "sampled_scores", "status"):
            assert parallel["arms"][name][key] == serial["arms"][name][key]
        status = "failed" if name == "broken" else "finished"
        assert parallel["arms"][name]["status"] == {"1": status}
    assert kinds(events, "failed") == [("broken", 1)]
    error = (tmp_path / "parallel" / "broken" / "1" / "error.txt").read_text()
    assert "became NaN or infinite" in error.splitlines()[-2]
    assert error.startswith("Traceback")
    verdict = parallel["arms"]["broken"]["verdict"]
    assert verdict["outcome"] == "no evidence"
    assert "no seed" in verdict["reason"]
    assert 0 <= parallel["random"] <= 1
    # Of a seed, both trainings are the same to the last digit.
    for name in ("no-model", "learned-embedding"):
        one, other = (
            ComparisonFolder(tmp_path / kind).runs(name) for kind in ("serial", "parallel")
        )
        assert one[1].episodes() == other[1].episodes()


def test_what_is_missing_is_run_and_nothing_else(comparison: Comparison, tmp_path: Path) -> None:
    comparison = replace(
        comparison, arms={k: v for k, v in comparison.arms.items() if k != "broken"}
    )
    first, events = run(comparison, tmp_path / "out")
    assert len(kinds(events, "done")) == 8 + 1  # and the random policy
    folder = ComparisonFolder(tmp_path / "out")
    # One lacks its evaluation, one was interrupted, one was killed before its first file.
    (folder.run_folder("tiny", 0) / "evaluation.json").unlink()
    trained = (folder.run_folder("tiny", 0) / "metrics.jsonl").stat().st_mtime_ns
    interrupted = folder.run_folder("no-model", 1)
    (interrupted / "status.json").write_text('{"status": "interrupted", "steps": 3}')
    (folder.run_folder("random-weights", 0) / "config.yaml").unlink()
    again, events = run(comparison, tmp_path / "out")
    assert set(kinds(events, "done")) == {("tiny", 0), ("no-model", 1), ("random-weights", 0)}
    assert kinds(events, "removed") == [("random-weights", 0)]
    assert kinds(events, "resumed") == [("no-model", 1)]
    assert len(kinds(events, "kept")) == 5
    assert (folder.run_folder("tiny", 0) / "metrics.jsonl").stat().st_mtime_ns == trained
    for name in comparison.arms:
        assert again["arms"][name]["scores"] == first["arms"][name]["scores"]


def test_a_stopped_run_goes_on_to_what_it_would_have_been(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = {name: comparison.arms[name] for name in ("tiny", "no-model")}
    base = {**comparison.base, "checkpoint": 16, "steps": 128}
    comparison = replace(comparison, arms=only, base=base, seeds=(0,))
    straight, _ = run(comparison, tmp_path / "straight")

    def stop(report: _StepReport, training: Training, infos: object) -> None:
        if training.steps >= 100:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_StepReport, "step", stop)
        with pytest.raises(KeyboardInterrupt):
            run(comparison, tmp_path / "out")
    path = ComparisonFolder(tmp_path / "out").run_folder("tiny", 0)
    # As where its process was killed for want of memory, and the comparison went on.
    (path / "error.txt").write_text("the process was killed by SIGKILL\n")
    found = read_checkpoint(path)
    assert found is not None
    results, events = run(comparison, tmp_path / "out")
    assert kinds(events, "resumed") == [("tiny", 0)]
    for arm in only:
        assert results["arms"][arm]["scores"] == straight["arms"][arm]["scores"]
        one, other = (
            ComparisonFolder(tmp_path / kind).runs(arm)[0] for kind in ("straight", "out")
        )
        assert one.episodes() == other.episodes()


def test_seeds_can_be_added(comparison: Comparison, tmp_path: Path) -> None:
    only = {name: comparison.arms[name] for name in ("tiny", "no-model")}
    run(replace(comparison, arms=only, seeds=(0,)), tmp_path / "out")
    results, events = run(replace(comparison, arms=only, seeds=(1,)), tmp_path / "out")
    assert kinds(events, "done") == [("tiny", 1), ("no-model", 1)]
    assert list(results["arms"]["tiny"]["scores"]) == ["0", "1"]


def test_one_precision_is_settled_for_all_arms_and_kept_on_another_machine(
    tmp_path: Path,
    tiny_gpt2_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    able = {"avx512_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    arms = "arms: {tiny: {}, named: {model.dtype: bfloat16}}\ncontrols: [random-weights]\n"
    comparison = make_comparison(tmp_path, tiny_gpt2_path, arms)
    out = tmp_path / "out"
    run(replace(comparison, seeds=(0,)), out)
    able["avx512_bf16"] = True
    assert not [record for record in caplog.records if "goes on" in record.message]
    run(replace(comparison, seeds=(1,)), out)
    (said,) = [record.getMessage() for record in caplog.records if "goes on" in record.message]
    assert "was begun in float32" in said
    assert "bfloat16 on this machine" in said
    folder = ComparisonFolder(out)
    assert folder.comparison.precision == "float32"
    assert folder.comparison.base["model"]["dtype"] == "auto"
    expected = {"tiny": "float32", "named": "bfloat16", "random-weights": "float32"}
    for arm, dtype in expected.items():
        for seed, trained in folder.runs(arm).items():
            assert trained.environment["dtype"] == dtype, (arm, seed)
            assert trained.experiment.model.dtype == dtype


@pytest.mark.parametrize(
    ("devices", "settled"),
    [(("cpu", "cpu"), "bfloat16"), (("cpu", "cuda"), "float32"), (("cuda", "cuda"), "float32")],
)
def test_arms_on_two_devices_have_the_precision_that_is_fast_on_both(
    devices: tuple[str, str], settled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = {"cpu": "bfloat16", "cuda": "float32"}
    monkeypatch.setattr("dragoman.models.hardware.fast_dtype", fast.get)
    one, other = devices
    arms = f"arms: {{one: {{model.device: {one}}}, other: {{model.device: {other}}}}}\n"
    comparison = make_comparison(tmp_path, more=arms)
    assert comparing.settled(comparison).precision == settled
    named = make_comparison(tmp_path, more="arms: {one: {model.dtype: float32}}\n")
    assert comparing.settled(named).precision is None


def test_a_failed_evaluation_is_made_up_for(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = {name: comparison.arms[name] for name in ("tiny", "no-model")}
    comparison = replace(comparison, arms=only, seeds=(0,))
    with monkeypatch.context() as patch:
        patch.setattr("dragoman.agents.evaluate.episode_seeds", lambda episodes, seed: [])
        results, _ = run(comparison, tmp_path / "out")
    assert results["arms"]["tiny"]["status"] == {"0": "failed"}
    assert results["random"] is None
    results, events = run(comparison, tmp_path / "out")
    assert results["arms"]["tiny"]["status"] == {"0": "finished"}
    assert kinds(events, "removed") == []
    assert results["random"] is not None


def test_tokens_make_arms_equal(
    tmp_path: Path, tiny_gpt2_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "dragoman.models.spec.load_model",
        lambda *args, **settings: ScriptedModel(lambda text: [len(text)]),
    )
    file = write_file(
        tmp_path,
        tiny_gpt2_path,
        "arms: {wordy: {}, brief: {describe.limits: false}}\ncontrols: [learned-embedding]\n",
    )
    cart_pole = {"env": "CartPole-v1", "env_settings": {}}  # where texts hardly ever repeat
    comparison = read_comparison(file, overrides=cart_pole, seeds=1, budget="tokens")
    # There is room for all at once, but three must wait to be told how many tokens they have.
    results, events = run(comparison, tmp_path / "out", jobs=9)
    costs = {name: arm["costs"]["0"] for name, arm in results["arms"].items()}
    assert costs["wordy"]["steps"] == 64
    assert costs["brief"]["tokens"] == pytest.approx(costs["wordy"]["tokens"], rel=0.1)
    assert 64 < costs["brief"]["steps"] < MOST_TIMES * 64
    order = [(event.arm, event.kind) for event in events if event.kind in ("started", "done")]
    assert order.index(("wordy", "done")) < order.index(("brief", "started"))
    # Whoever needs no tokens takes as many steps.
    for name in ("no-model", "learned-embedding"):
        assert (costs[name]["steps"], costs[name]["tokens"]) == (64, 0)


def test_a_budget_waits_for_the_run_that_sets_it(comparison: Comparison, tmp_path: Path) -> None:
    arms = dict(reversed([(name, comparison.arms[name]) for name in ("no-model", "broken")]))
    comparison = replace(comparison, arms=arms, budget="seconds", seeds=(0,))
    results, events = run(comparison, tmp_path / "out")
    assert kinds(events, "failed") == [("broken", 0), ("no-model", 0)]
    error = (tmp_path / "out" / "no-model" / "0" / "error.txt").read_text()
    assert "arm 'broken' sets the budget of seed 0, but has not finished it" in error
    assert results["arms"]["no-model"]["status"] == {"0": "failed"}


def test_seconds_come_from_the_first_arm_at_the_same_seed(tmp_path: Path) -> None:
    comparison = make_comparison(tmp_path, more="budget: seconds\ncontrols: false\n", seeds=1)
    folder = write_comparison(tmp_path / "out", comparison, {"model": [1.0]})
    results, events = run(comparison, tmp_path / "out")
    assert kinds(events, "started") == [("no-model", 0)]
    costs = results["arms"]["no-model"]["costs"]["0"]
    assert costs["steps"] == MOST_TIMES * 64 or costs["seconds"] == pytest.approx(2.0, abs=0.5)
    assert isinstance(folder.runs("no-model")[0], Run)


def test_bad_requests_are_refused_before_anything_runs(
    comparison: Comparison, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="jobs is 0"):
        compare(comparison, tmp_path / "out", jobs=0)
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".lock"), pytest.raises(RunError, match="another process"):
        compare(comparison, tmp_path / "out")
    run(replace(comparison, seeds=(0,)), tmp_path / "out")
    changed = replace(comparison, evaluation=replace(comparison.evaluation, episodes=9))
    before = json.loads((tmp_path / "out" / "results.json").read_text())
    with pytest.raises(ConfigError, match=r"evaluation.episodes was 4 and is 9"):
        compare(changed, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == before


def test_what_may_never_end_is_not_compared_on(tmp_path: Path, tiny_gpt2_path: Path) -> None:
    comparison = make_comparison(tmp_path, tiny_gpt2_path, BROKEN)
    endless = replace(
        comparison, base={**comparison.base, "env": "CliffWalking-v1", "env_settings": {}}
    )
    with pytest.raises(ConfigError, match="has no time limit"):
        compare(endless, tmp_path / "out")
    assert not (tmp_path / "out").exists()
