"""``report``, ``replay`` and ``watch``: the verbs that show what runs have left."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dragoman.cli import app
from dragoman.engines.train import train
from dragoman.errors import RunError
from dragoman.experiment import Algorithm, Experiment
from dragoman.run import RunWriter
from tests.known_comparisons import write_comparison

runner = CliRunner()
EXPERIMENT = Experiment(
    env="CartPole-v1",
    steps=64,
    num_envs=2,
    observe=None,
    algorithm=Algorithm("ppo", {"n_steps": 16, "batch_size": 16}),
)


def says(*command: str) -> str:
    result = runner.invoke(app, list(command))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for arm in ("a", "b"):
        train(EXPERIMENT, 0, out=folder / arm / "0")
    return folder


def test_report_names_its_files(tmp_path: Path) -> None:
    folder = write_comparison(tmp_path / "cmp", seeds=range(2), arms=["smollm2", "no-model"])
    printed = says("report", str(folder)).replace("\n", "")
    for name in ("report.html", "report.md", "report-curves.png", "report-intervals.png"):
        assert (folder / name).stat().st_size > 0
        assert name in printed


def test_replay_of_one_run_lies_in_its_folder(runs: Path) -> None:
    printed = says("replay", str(runs / "a" / "0"))
    page = (runs / "a" / "0" / "replay-0.html").read_text()
    assert '"name":"0"' in page
    assert "0: return " in printed


def test_replay_of_several_runs_lies_above_them(runs: Path, tmp_path: Path) -> None:
    says("replay", str(runs / "a/0"), str(runs / "b/0"), "--seed", "7", "--sampled", "--steps", "5")
    page = (runs / "replay-7.html").read_text()
    assert '"name":"a/0"' in page
    assert '"name":"b/0"' in page
    assert "sampled actions" in page
    out = tmp_path / "new" / "page.html"
    says("replay", str(runs / "a" / "0"), "--episodes", "2", "--out", str(out))
    assert "2 evaluation episodes" in out.read_text()


def test_watch_once_shows_a_run(runs: Path) -> None:
    printed = says("watch", "--once", str(runs / "a" / "0"))
    assert "finished" in printed
    assert "64 of 64 steps (100%)" in printed


def test_watch_ends_when_the_training_ends(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run", EXPERIMENT, seed=0, compute={})

    def end() -> None:
        with writer:
            time.sleep(0.5)
            writer.episode({"step": 48, "return": 20.0})

    training = threading.Thread(target=end)
    started = time.monotonic()
    training.start()
    printed = says("watch", "--interval", "0.1", str(tmp_path / "run"))
    assert time.monotonic() - started > 0.5
    training.join()
    assert "finished" in printed
    assert "48 of 64 steps" in printed


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    for verb in ("watch", "replay", "report"):
        assert isinstance(runner.invoke(app, [verb, str(tmp_path)]).exception, RunError)


def test_what_a_folder_says_is_no_markup_and_no_escape_sequence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # so that no long path is cut
    env = "\x1b]8;;javascript:alert(1)\x1b\\CartPole[/bold]\x07"
    with RunWriter(Path("[red]run["), Experiment(env), 0, {}) as writer:
        writer.metric({"[/x]": 1.0})
    for printed in (says("ls", "."), says("watch", "--once", "[red]run[")):
        assert "[red]run[" in printed
        assert "CartPole[/bold]" in printed
        assert "\x1b]8" not in printed
        assert "\x07" not in printed
