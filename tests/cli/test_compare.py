from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dragoman.cli import app
from dragoman.comparison import runner as comparing
from dragoman.comparison.comparison import Comparison
from dragoman.run import Run
from tests.comparison.small_comparisons import (
    InProcess,
    make_comparison,
    write_comparison,
    write_file,
)

runner = CliRunner()


@pytest.fixture(autouse=True)
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "Workers", InProcess)


def finished(tmp_path: Path, **scores: list[float]) -> list[str]:
    """Write a comparison that lacks nothing, and return the command that shows it."""
    seeds = len(next(iter(scores.values())))
    more = "controls: false\nreference: {best_known: 1, source: me}\n"
    comparison = make_comparison(tmp_path, more=more, seeds=seeds)
    named = {name.replace("_", "-"): own for name, own in scores.items()}
    write_comparison(tmp_path / "out", comparison, named)
    out = str(tmp_path / "out")
    return ["compare", str(tmp_path / "small.yaml"), "--seeds", str(seeds), "--out", out]


def test_table_and_reasons_are_printed(tmp_path: Path) -> None:
    command = finished(tmp_path, model=[0.8] * 8, no_model=[0.2] * 8)
    result = runner.invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "random policy 0.1, best known 1" in result.output
    assert "0.8 [0.8, 0.8]" in result.output
    assert "model: helped: better than 'no-model'" in result.output


def test_verdicts_set_the_exit_code(tmp_path: Path) -> None:
    hurt = finished(tmp_path, model=[0.1] * 8, no_model=[0.6] * 8)
    assert runner.invoke(app, hurt).exit_code == 0
    assert runner.invoke(app, [*hurt, "--fail-on", "no-evidence"]).exit_code == 0
    assert runner.invoke(app, [*hurt, "--fail-on", "hurt"]).exit_code == 1


def test_too_few_seeds_fail_on_no_evidence(tmp_path: Path) -> None:
    few = finished(tmp_path, model=[0.8] * 2, no_model=[0.2] * 2)
    result = runner.invoke(app, [*few, "--fail-on", "hurt", "--fail-on", "no-evidence"])
    assert result.exit_code == 1
    assert "too few seeds" in result.output


def test_fewer_seeds_than_the_folder_has_are_all_of_the_folder(tmp_path: Path) -> None:
    command = finished(tmp_path, model=[0.8] * 3, no_model=[0.2] * 3)
    fewer = ["2" if before == "--seeds" else word for before, word in pairwise(["", *command])]
    result = runner.invoke(app, fewer, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    assert "2 arms x 3 seeds = 6 runs" in result.output
    assert "3/3 seeds" in result.output


def test_a_failed_run_sets_the_exit_code(tmp_path: Path) -> None:
    file = write_file(tmp_path, "./nowhere", "controls: false\n")
    command = ["compare", str(file), "--seeds", "1", "--out", str(tmp_path / "out")]
    result = runner.invoke(app, command)
    assert result.exit_code == 3, result.output
    # On a narrow terminal the sentence is broken somewhere.
    assert "there is no model folder './nowhere'" in " ".join(result.output.split())
    assert "no run finished" in result.output


def test_the_plan_says_what_trains_and_how_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dragoman.cli.compare.measured", lambda *_, **settings: settings["ray"])
    command = ["compare", str(write_file(tmp_path)), "--plan", "--seeds", "2"]
    wide = {"COLUMNS": "200"}
    said = runner.invoke(app, command, env=wide).output
    assert "trained by sb3." in said
    assert said.endswith("less than a minute in all\n")
    engine = ["--engine", "rllib", "--env-runners", "2", "--jobs", "1"]
    said = runner.invoke(app, [*command, *engine], env=wide).output
    assert "trained by rllib, 3 processes a run, 1 run at once." in said
    said = runner.invoke(app, [*command, "--ray", "auto"], env=wide).output
    assert "trained by sb3, as tasks of the Ray cluster auto." in said
    assert said.endswith("\nauto\n")
    refused = runner.invoke(app, [*command, "--env-runners", "2"])
    assert "so --env-runners has no meaning" in str(refused.exception)


def test_ls_shows_runs_and_comparisons(tmp_path: Path) -> None:
    finished(tmp_path, model=[0.8], no_model=[0.2])
    shown = runner.invoke(app, ["ls", str(tmp_path)], env={"COLUMNS": "160"})
    assert shown.exit_code == 0, shown.output
    assert "2 arms x 1" in shown.output
    assert "2/2 finished" in shown.output
    inside = runner.invoke(app, ["ls", str(tmp_path / "out"), "--filter", "no-model"])
    assert "no-model" in inside.output
    assert "observe" not in inside.output
    assert "no run and no" in runner.invoke(app, ["ls", str(tmp_path), "--filter", "x y"]).output


def test_ls_loads_no_torch(tmp_path: Path) -> None:
    finished(tmp_path, model=[0.8], no_model=[0.2])
    code = (
        "import sys; from dragoman.cli import app\n"
        f"app(['ls', {str(tmp_path)!r}], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize(
    # As a terminal does it, and systemd: to every process of the group; and as Docker does.
    ("sign", "send", "code"),
    [
        (signal.SIGINT, os.killpg, 130),
        (signal.SIGTERM, os.killpg, 143),
        pytest.param(signal.SIGTERM, os.kill, 143, marks=pytest.mark.slow),
    ],
)
def test_a_stop_loses_nothing_that_is_finished(
    sign: signal.Signals, send: Callable[[int, int], None], code: int, tmp_path: Path
) -> None:
    off = "{observe: null, steps: 64}"
    more = f"arms: {{short: {off}, endless: {off.replace('64', '100000000')}}}\nbaseline: short\n"
    file = write_file(tmp_path, more=more)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "dragoman", "compare", str(file), "--out", str(out)]
    process = subprocess.Popen(
        [*command, "--seeds", "1", "--jobs", "2"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "DRAGOMAN_CACHE": str(tmp_path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 120
    wanted = (out / "short" / "0" / "evaluation.json", out / "endless" / "0" / "metrics.jsonl")
    while not all(item.exists() for item in wanted):
        assert time.monotonic() < deadline, "the training did not start"
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    send(process.pid, sign)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert "the same command goes on" in errors
    assert "Traceback" not in errors
    folder = Comparison.open(out)
    assert folder.status("short", 0) == "finished"
    assert folder.status("endless", 0) == "interrupted"
    assert Run(out / "endless" / "0").weights()
