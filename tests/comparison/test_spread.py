"""Runs of a comparison as tasks of a Ray cluster."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="needs the extra 'rllib'")

from dragoman.comparison import runner as comparing
from dragoman.comparison.comparison import Comparison
from dragoman.comparison.folder import ComparisonFolder
from dragoman.comparison.runner import Event, compare
from dragoman.comparison.spread import Spread
from dragoman.comparison.workers import Report
from dragoman.engines.rllib import RLlib, cluster
from dragoman.engines.sb3 import SB3
from dragoman.errors import ConfigError
from tests.comparison.small_comparisons import InProcess, make_comparison

OFF = "{observe: null}"
OTHER = "{observe: null, algorithm.settings: {n_steps: 8, batch_size: 16}}"
WITHOUT_MODEL = f"arms: {{one: {OFF}, other: {OTHER}}}\nbaseline: one\ncontrols: false\n"


@pytest.fixture(scope="module", autouse=True)
def two_processors() -> Iterator[None]:
    # Ray gives way to every other process of a machine, and tests would wait for those.
    os.environ.setdefault("RAY_worker_niceness", "0")
    before = signal.getsignal(signal.SIGTERM)
    cluster.start(cpus=2)
    yield
    cluster.stop()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    return make_comparison(tmp_path, more=WITHOUT_MODEL)


def decided(results: dict[str, Any]) -> str:
    """Return what clocks and numbers of threads have no part in, as text."""
    arms = {
        name: {key: arm[key] for key in arm if "costs" not in key and key != "differences"}
        for name, arm in results["arms"].items()
    }
    return json.dumps([results["random"], arms])


def test_one_process_two_and_a_cluster_give_the_same_to_the_last_bit(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = {}
    with monkeypatch.context() as patch:
        patch.setattr(comparing, "Workers", InProcess)
        results["one"] = compare(comparison, tmp_path / "one", jobs=1)
    results["two"] = compare(comparison, tmp_path / "two", jobs=2)
    results["ray"] = compare(comparison, tmp_path / "ray", ray="local")
    assert decided(results["one"]) == decided(results["two"]) == decided(results["ray"])
    assert all(len(arm["scores"]) == 2 for arm in results["ray"]["arms"].values())
    for name in comparison.arms:
        one, other = (ComparisonFolder(tmp_path / kind).runs(name)[1] for kind in ("one", "ray"))
        assert one.episodes() == other.episodes()
        assert all((value == other.weights()[key]).all() for key, value in one.weights().items())
    # A run folder came to be as a whole, and nothing is left beside it.
    assert {path.name for path in (tmp_path / "ray" / "one").iterdir()} == {"0", "1"}


def test_what_is_missing_is_done_elsewhere(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "Workers", InProcess)
    comparison = replace(comparison, seeds=(0,))
    before = compare(comparison, tmp_path / "out", jobs=1)
    folder = ComparisonFolder(tmp_path / "out").run_folder("one", 0)
    (folder / "evaluation.json").unlink()
    trained = (folder / "metrics.jsonl").read_bytes()
    events: list[Event] = []
    after = compare(comparison, tmp_path / "out", ray="auto", on_event=events.append)
    assert [(event.arm, event.kind) for event in events if event.kind == "done"] == [
        ("one", "done")
    ]
    assert decided(after) == decided(before)
    assert (folder / "metrics.jsonl").read_bytes() == trained


@dataclass(frozen=True)
class Play:
    """Does what its name says."""

    folder: Path
    what: str
    first: Path | None = None

    def run(self, tell: Any) -> None:
        (self.folder / "half").write_text("written before")
        if self.what == "raise":
            raise ValueError("this environment is broken")
        if self.what == "die" or (self.first is not None and not self.first.exists()):
            if self.first is not None:
                self.first.write_text("")
            os.kill(os.getpid(), signal.SIGKILL)
        tell(5)
        if self.what == "wait":
            try:
                while True:
                    time.sleep(0.01)
            except KeyboardInterrupt:
                Path(os.environ["DRAGOMAN_DATA"], "stopped").write_text("by order")
                raise
        (self.folder / "deep").mkdir()
        (self.folder / "deep" / "pid").write_text(str(os.getpid()))


def ends(spread: Spread, *jobs: Play) -> dict[str, list[Report]]:
    for job in jobs:
        spread.start(job)
    said: dict[str, list[Report]] = {job.what: [] for job in jobs}
    while spread.jobs:
        for report in spread.reports():
            said[report.job.what].append(report)
    return said


@pytest.mark.slow
def test_one_that_raises_or_dies_loses_no_other(tmp_path: Path) -> None:
    with Spread("auto") as spread:
        assert spread.idle == 2
        said = ends(
            spread,
            Play(tmp_path / "a", "a"),
            Play(tmp_path / "raise", "raise"),
            Play(tmp_path / "die", "die"),
            Play(tmp_path / "again", "again", first=tmp_path / "died"),
        )
    last = {name: reports[-1] for name, reports in said.items()}
    assert {name: report.kind for name, report in last.items()} == {
        "a": "done", "raise": "failed", "die": "failed", "again": "done",
    }  # fmt: skip
    assert "ValueError: this environment is broken" in last["raise"].error
    assert "WorkerCrashedError" in last["die"].error
    assert (tmp_path / "raise" / "half").read_text() == "written before"
    assert int((tmp_path / "a" / "deep" / "pid").read_text()) != os.getpid()
    assert (tmp_path / "died").exists()


@pytest.mark.slow
def test_leaving_stops_what_is_being_done(tmp_path: Path, own_data_folder: Path) -> None:
    mark = own_data_folder / "stopped"
    begun = time.monotonic()
    with Spread("auto") as spread:
        spread.start(Play(tmp_path / "wait", "wait"))
        while not any(report.kind == "steps" for report in spread.reports()):
            assert time.monotonic() - begun < 200
    assert mark.read_text() == "by order"
    assert not (tmp_path / "wait").exists()


@pytest.mark.slow
def test_every_arm_is_trained_by_the_engine_that_is_named(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "Workers", InProcess)
    comparison = replace(comparison, seeds=(0,))
    results = compare(comparison, tmp_path / "out", jobs=1, engine=RLlib())
    folder = ComparisonFolder(tmp_path / "out")
    assert folder.comparison.engine == "rllib"
    assert results["versions"]["engine"] == ["rllib"]
    runs = [run for arm in comparison.arms for run in folder.runs(arm).values()]
    assert [run.environment["engine"] for run in runs] == ["rllib", "rllib"]
    before = (tmp_path / "out" / "results.json").read_bytes()
    with pytest.raises(ConfigError, match="are trained by the engine rllib, and now sb3") as error:
        compare(comparison, tmp_path / "out", jobs=1)
    assert "go on with engine rllib" in error.value.cure
    assert (tmp_path / "out" / "results.json").read_bytes() == before


def test_engines_and_addresses_that_cannot_work_are_refused(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="this engine wants 3 processes for each"):
        compare(comparison, tmp_path / "out", ray="local", engine=RLlib(env_runners=2))
    with pytest.raises(ConfigError, match="the engine sb3 cannot be sent to the processes"):
        compare(comparison, tmp_path / "out", engine=SB3([lambda: None]))
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    with pytest.raises(ConfigError, match="there is no Ray cluster at 'nowhere'"):
        compare(comparison, tmp_path / "out", ray="nowhere")
