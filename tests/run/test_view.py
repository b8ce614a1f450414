from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.run import Run, RunWriter


@pytest.fixture
def run(tmp_path: Path) -> Run:
    with RunWriter(tmp_path / "<run>", Experiment(env="CartPole-v1", steps=400), 3, {}) as writer:
        for step in (100, 200, 400):
            writer.episode({"step": step, "return": step / 10, "length": 9})
        writer.metric({"step": 400, "train/loss": 0.5})
    return Run(writer.path)


def test_a_notebook_shows_facts_and_curve(run: Run) -> None:
    shown = run._repr_html_()
    assert "<td>CartPole-v1</td>" in shown
    assert "<td>finished, 0 of 400 steps</td>" in shown
    assert "&lt;run&gt;" in shown
    assert "src='data:image/png;base64," in shown


def test_a_run_that_has_just_begun_shows_its_facts(tmp_path: Path) -> None:
    RunWriter(tmp_path / "run", Experiment(env="CartPole-v1"), 0, {})
    shown = Run(tmp_path / "run")._repr_html_()
    assert "running" in shown
    assert "<img" not in shown


def test_the_curve_is_a_figure(run: Run) -> None:
    (axes,) = run.plot().axes
    assert axes.lines[0].get_ydata().tolist() == run.curve()[1].tolist()


def test_rows_become_a_table(run: Run) -> None:
    episodes = run.to_pandas()
    assert episodes["return"].tolist() == [10, 20, 40]
    assert run.to_pandas("metrics")["train/loss"].tolist() == [0.5]
    with pytest.raises(ConfigError, match=r"no table 'metric' \(did you mean 'metrics'"):
        run.to_pandas("metric")


def test_pandas_may_be_missing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match="pandas is not installed"):
        run.to_pandas()
