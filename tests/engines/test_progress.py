from __future__ import annotations

import re
from pathlib import Path

import pytest

from dragoman import progress
from dragoman.agents.evaluate import evaluate
from dragoman.engines.train import train
from dragoman.experiment import Experiment
from dragoman.models.spec import ModelSpec
from dragoman.progress import Progress
from dragoman.testing import ScriptedModel

EXPERIMENT = Experiment.from_dict(
    {
        "env": "CartPole-v1",
        "observe": None,
        "steps": 64,
        "num_envs": 2,
        "algorithm": {"settings": {"n_steps": 16, "batch_size": 16}},
    }
)


@pytest.mark.parametrize(("seconds", "lines"), [(0.0, 32), (1e9, 0)])
def test_a_file_gets_a_line_from_time_to_time(
    tmp_path: Path, capsys, monkeypatch, seconds: float, lines: int
) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", seconds)
    train(EXPERIMENT, out=tmp_path / "run", progress=True)
    said = capsys.readouterr().err
    found = re.findall(r"^training: (\d+) of 64 · steps/s", said, re.MULTILINE)
    assert [int(steps) for steps in found] == [*list(range(2, 65, 2))[:lines], 64]


def test_stages_and_steps_are_told_with_their_seconds(tmp_path: Path, monkeypatch) -> None:
    model = ScriptedModel(lambda text: [float(len(text))])
    monkeypatch.setattr(ModelSpec, "load", lambda *given: model)
    told: list[Progress] = []
    shaped = {"observe": "on", "reward": {"use": "goal-similarity", "goal": "upright"}}
    run = train(EXPERIMENT.replaced(shaped), out=tmp_path / "run", progress=told.append)
    assert [one.what for one in told if one.is_over] == [
        "checking one random episode",
        "loading smollm2-135m",
        "calibrating by 64 random steps",
        "building the agent with sb3",
        "preparing reward",
        "training",
    ]
    assert all(one.seconds >= 0 for one in told)
    steps = [one.done for one in told if one.what == "training"]
    assert steps == [0, *range(2, 65, 2), 64]
    assert told[-1].figures["return"] == pytest.approx(run.last_metrics()["rollout/return_mean"])
    told.clear()
    evaluate(run, 3, model=model, progress=told.append)
    assert (told[-1].what, told[-1].done, told[-1].total) == ("evaluating", 3, 3)
    assert told[-1].is_over
    assert [one.is_over for one in told].count(True) == 1


def test_without_a_wish_nothing_is_printed(tmp_path: Path, capsys) -> None:
    evaluate(train(EXPERIMENT, out=tmp_path / "run"), 1)
    assert capsys.readouterr() == ("", "")
