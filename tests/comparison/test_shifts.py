from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dragoman.comparison import runner as comparing
from dragoman.comparison.comparison import Comparison, EvaluationSettings, Play
from dragoman.comparison.folder import RETURNS, ComparisonFolder
from dragoman.comparison.runner import Event, compare
from dragoman.comparison.shifts import shifts_of
from dragoman.errors import ConfigError
from dragoman.report.document import write_report
from tests.comparison.small_comparisons import InProcess, make_comparison

SHIFTS = {
    "other-map": {"env_settings": {"desc": ["SH", "FG"]}},
    "reworded": {"describe.synonyms": {"row": "line"}},
}


def evaluated(**shifts: list[float]) -> dict[str, Any]:
    return {"shifts": shifts}


def test_a_change_is_paired_by_seed() -> None:
    said = {
        0: evaluated(dark=[0.0, 1.0]),
        1: evaluated(dark=[0.0, 0.0]),
        2: evaluated(),  # before the shift was asked for
    }
    result = shifts_of("arm", ["dark", "light"], said, {0: 1.0, 1: 0.5, 2: 0.5})
    assert list(result) == ["dark"]
    assert result["dark"]["scores"] == {0: 0.5, 1: 0.0}
    assert result["dark"]["by_seed"] == [-0.5, -0.5]
    assert result["dark"]["change"]["estimate"] == -0.5
    assert result["dark"]["mean"]["estimate"] == 0.25


def test_changes_stand_on_the_evaluations_own_settings() -> None:
    evaluation = EvaluationSettings(env_settings={"split": "test"}, shifts=SHIFTS)
    assert evaluation.changes() == {"env_settings.split": "test"}
    assert evaluation.changes("other-map") == {"env_settings.split": "test", **SHIFTS["other-map"]}


@pytest.mark.parametrize(
    ("shifts", "problem"),
    [
        ({"dark": {}}, "shifts.dark changes nothing"),
        ({"../x": SHIFTS["other-map"]}, "'../x' cannot"),
    ],
)
def test_shifts_that_say_nothing_are_refused(shifts: Any, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        EvaluationSettings(shifts=shifts)


@pytest.fixture
def comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Comparison:
    monkeypatch.setattr(comparing, "Workers", InProcess)
    more = (
        "arms: {one: {observe: null}, other: {observe: null, algorithm.settings: {n_steps: 8, "
        "batch_size: 16}}}\nbaseline: one\ncontrols: false\nevaluation: {episodes: 3}\n"
    )
    return make_comparison(tmp_path, more=more)


def with_shifts(comparison: Comparison, shifts: Any) -> Comparison:
    return replace(comparison, evaluation=replace(comparison.evaluation, shifts=shifts))


@pytest.mark.parametrize("judged", RETURNS)
def test_a_comparison_plays_every_agent_under_every_shift(
    judged: Play, comparison: Comparison, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    asked = with_shifts(comparison, SHIFTS)
    asked = replace(asked, evaluation=replace(asked.evaluation, judged=judged))
    results = compare(asked, out)
    assert 0 <= results["shifts"]["other-map"]["random"] <= 1
    for name, arm in results["arms"].items():
        folder = ComparisonFolder(out)
        said = folder.evaluation(name, 0)
        assert list(said["shifts"]) == ["other-map", "reworded"]
        # An agent on raw numbers reads no words.
        assert said["shifts"]["reworded"] == said[RETURNS[judged]]
        assert arm["shifts"]["reworded"]["change"]["estimate"] == 0
        played = (folder.evaluation(name, seed)[RETURNS[judged]] for seed in (0, 1))
        usual = [*map(float, map(np.mean, played))]
        assert arm["shifts"]["other-map"]["by_seed"] == pytest.approx(
            [arm["shifts"]["other-map"]["scores"][str(seed)] - usual[seed] for seed in (0, 1)]
        )
    files = write_report(out)
    for file in (files.html, files.markdown):
        assert "What is left under a shift" in file.read_text()
    assert files.figures["shifts"].is_file()


def test_shifts_may_be_added_and_only_evaluation_is_repeated(
    comparison: Comparison, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    compare(comparison, out)
    trained = {file: file.read_bytes() for file in out.glob("*/*/metrics.jsonl")}
    before = json.loads((out / "one" / "0" / "evaluation.json").read_text())
    events: list[Event] = []
    results = compare(with_shifts(comparison, SHIFTS), out, on_event=events.append)
    assert {event.kind for event in events} <= {"started", "done", "steps"}
    assert {file: file.read_bytes() for file in out.glob("*/*/metrics.jsonl")} == trained
    after = json.loads((out / "one" / "0" / "evaluation.json").read_text())
    assert {**after, "shifts": {}} == {**before, "shifts": {}}
    assert set(results["shifts"]) == set(after["shifts"]) == set(SHIFTS)
    assert results["shifts"]["other-map"]["random"] is not None
    # But what is there may not change or go.
    other = {**SHIFTS, "other-map": {"env_settings": {"desc": ["SF", "FG"]}}}
    for shifts in ({}, other):
        with pytest.raises(ConfigError, match=r"evaluation\.shifts.other-map"):
            compare(with_shifts(comparison, shifts), out)


def test_a_shift_that_cannot_be_played_is_refused_before_any_training(
    comparison: Comparison, tmp_path: Path
) -> None:
    for shift, problem in (
        ({"env_settings": {"sizes": 3}}, "arm 'one': .*sizes"),
        (
            {"env_settings": {"desc": ["SFG"]}},
            r"observation space was Discrete\(4\) in the training",
        ),
        ({"describe.observation": "{rwo}"}, "arm 'one': the template names 'rwo'"),
        ({"observe.layer": 1}, "arm 'one': a shift changes 'observe.layer'"),
    ):
        with pytest.raises(ConfigError, match=problem):
            compare(with_shifts(comparison, {"wrong": shift}), tmp_path / "out")
    assert not (tmp_path / "out").exists()
