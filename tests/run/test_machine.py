from __future__ import annotations

from pathlib import Path

import pytest

from dragoman.experiment import Experiment
from dragoman.run import describe_machine

EXPERIMENT = Experiment(env="CartPole-v1", steps=9)


def test_machine_outside_a_checkout_has_no_git_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert describe_machine()["git"] is None
