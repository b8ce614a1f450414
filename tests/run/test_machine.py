from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dragoman.experiment import Experiment
from dragoman.run import describe_machine
from dragoman.run.machine import may_live

EXPERIMENT = Experiment(env="CartPole-v1", steps=9)


def test_machine_outside_a_checkout_has_no_git_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert describe_machine()["git"] is None


@pytest.mark.parametrize(
    ("pid", "host", "seconds", "lives"),
    [
        ("own", "own", 1, True),
        ("gone", "own", 1, False),
        # By then the number may be another's, as in a container that was started again.
        ("own", "own", 999, False),
        ("gone", "another", 1, True),
        ("gone", "another", 999, False),
        ("no number", "own", 1, True),
        (2**70, "own", 1, True),
    ],
)
def test_a_process_may_live_while_it_is_there_and_says_so(
    pid: object, host: str, seconds: float, lives: bool
) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    pid = {"own": os.getpid(), "gone": process.pid}.get(pid, pid)
    host = socket.gethostname() if host == "own" else host
    assert may_live(pid, host, datetime.now(UTC) - timedelta(seconds=seconds)) == lives
