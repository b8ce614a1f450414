from __future__ import annotations

import re
from pathlib import Path

import pytest

from dragoman.engines import progress
from dragoman.engines.progress import ProgressBar
from dragoman.engines.train import train
from dragoman.experiment import Experiment

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
    train(EXPERIMENT, out=tmp_path / "run", watchers=[ProgressBar(EXPERIMENT.steps)])
    found = re.findall(r"^(\d+) of 64 steps · .* steps/s", capsys.readouterr().err, re.MULTILINE)
    assert [int(steps) for steps in found] == list(range(2, 65, 2))[:lines]
