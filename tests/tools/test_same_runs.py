from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "same_runs.py"


def test_what_differs_is_named() -> None:
    spec = importlib.util.spec_from_file_location("same_runs", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    same_runs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(same_runs)
    ours = {"a": [1.0, float("nan")], "b": {"c": 0.1}, "new": 1}
    theirs = {"a": [1.0, float("nan")], "b": {"c": 0.1 + 2**-56}}
    assert same_runs.differences(ours, ours) == []
    assert same_runs.differences(ours, theirs) == [
        "/b/c: 0.1 was 0.10000000000000002",
        "/new: 1 was None",
    ]
    assert same_runs.differences([1], [1, 2]) == [": [1] was [1, 2]"]


@pytest.mark.slow
def test_this_tree_trains_as_the_last_commit_does() -> None:
    command = [sys.executable, str(SCRIPT), "--against", "HEAD"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 differences" in result.stdout
