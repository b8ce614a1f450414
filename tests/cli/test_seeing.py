"""``report``, ``replay`` and ``watch``: the verbs that show what runs have left."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dragoman.cli import app
from dragoman.cli.replay import _in_order
from dragoman.engines.train import train
from dragoman.errors import ConfigError, RunError
from dragoman.experiment import Algorithm, Experiment
from dragoman.run import Run, RunWriter
from dragoman.stopping import Terminated
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
    figures = [f"report-{name}.png" for name in ("difference", "curves", "intervals")]
    for name in ("report.html", "report.md", "report.csv", *figures):
        assert (folder / name).stat().st_size > 0
        assert name in printed
    assert f"next: dragoman replay {folder}/smollm2/0 {folder}/no-model/0" in printed
    (folder / "no-model/0/evaluation.json").unlink()
    (folder / "no-model/1/evaluation.json").unlink()
    again = says("report", str(folder)).replace("\n", "")
    assert f"next: dragoman compare {folder}/comparison.yaml --out {folder}" in again


def test_report_of_a_run_evaluates_it(runs: Path, tmp_path: Path) -> None:
    folder = runs / "a" / "0"
    printed = says("report", str(folder), "--episodes", "3").replace("\n", "")
    assert "report.html" in printed
    assert f"next: dragoman compare {folder} --plan" in printed
    html = (folder / "report.html").read_text()
    assert re.search(r"It earns [\d.]+ on average over 3 unseen episodes; actions drawn at", html)
    for row in ("greedy", "sampled", "random"):
        assert f'<th scope="row">{row}</th>' in html
    assert "dragoman train config.yaml --seed 0" in html
    assert 'id="reads"' in html
    assert not re.search(r"https?://|<script src", html)
    out = tmp_path / "plain.html"
    says("report", str(folder), "--episodes", "0", "--out", str(out))
    assert 'id="reads"' not in out.read_text()
    assert "It took 64 of 64 steps." in out.read_text()


def test_eval_films_an_episode(runs: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.gif"
    says("eval", str(runs / "a" / "0"), "--episodes", "1", "--video", str(film))
    assert film.read_bytes().startswith(b"GIF89a")
    refused = runner.invoke(app, ["eval", str(runs / "a/0"), "--video", str(tmp_path / "film.avi")])
    assert isinstance(refused.exception, ConfigError)
    assert "no kind of film" in str(refused.exception)


def test_runs_of_a_comparison_stand_in_their_order(tmp_path: Path) -> None:
    names = ["learned-embedding", "no-model", "layer-8", "smollm2"]
    folder = write_comparison(tmp_path / "cmp", seeds=[0], arms=names)
    runs, kinds = _in_order([Run(folder / name / "0") for name in names])
    assert [run.path.parent.name for run in runs] == [
        "layer-8", "no-model", "smollm2", "learned-embedding",
    ]  # fmt: skip
    assert kinds == ["arm", "baseline", "arm", "control"]
    # What lies elsewhere is left as it is.
    RunWriter(tmp_path / "run", Experiment(env="CartPole-v1"), 0, {})
    assert _in_order([Run(tmp_path / "run")])[1] == [""]


def test_replay_of_one_run_lies_in_its_folder(runs: Path) -> None:
    printed = says("replay", str(runs / "a" / "0"))
    page = (runs / "a" / "0" / "replay-0.html").read_text()
    assert '"name":"0"' in page
    assert "0: return " in printed
    assert f"or dragoman report {runs / 'a' / '0'}" in printed


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
    assert f"next: dragoman eval {runs / 'a' / '0'}" in printed


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt(), 130), (Terminated(), 143)])
def test_watch_says_by_its_exit_code_what_stopped_it(
    stop: BaseException, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(seconds: float) -> None:
        raise stop

    monkeypatch.setattr("dragoman.cli.watch.time.sleep", stopped)
    with RunWriter(tmp_path / "run", EXPERIMENT, seed=0, compute={}):
        assert runner.invoke(app, ["watch", str(tmp_path / "run")]).exit_code == code


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
    assert f"next: dragoman eval {tmp_path / 'run'}" in printed


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    for verb in ("watch", "replay", "report"):
        assert isinstance(runner.invoke(app, [verb, str(tmp_path)]).exception, RunError)


def test_what_a_folder_says_is_no_markup_and_no_escape_sequence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # so that no long path is cut
    env = "\x1b]8;;javascript:alert(1)\x1b\\CartPole[/bold]\x07"
    with RunWriter(Path("[red]run["), Experiment(env), 0, {}) as writer:
        writer.metric({"step": 1, "[/x]": 1.0})
    for printed in (says("ls", "."), says("watch", "--once", "[red]run[")):
        assert "[red]run[" in printed
        assert "CartPole[/bold]" in printed
        assert "\x1b]8" not in printed
        assert "\x07" not in printed
