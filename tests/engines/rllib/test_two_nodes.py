"""A real cluster of two nodes on this machine, shut off from every network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="needs the extra 'rllib'")

# No network but the loopback, and no process that outlives the first one.
ALONE = ["unshare", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]


def refused() -> str:
    """Return why this machine lets nobody be alone; nothing where it does."""
    if not shutil.which("unshare") or not shutil.which("ip"):
        return "needs the commands unshare and ip"
    tried = subprocess.run(
        [*ALONE, "ip", "link", "set", "lo", "up"], capture_output=True, text=True
    )
    return f"namespaces are refused: {tried.stderr.strip()}" if tried.returncode else ""


def test_training_goes_on_though_a_runner_and_a_node_are_lost(
    tiny_llama: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    why = refused()
    if why:
        pytest.skip(why)
    out = tmp_path_factory.mktemp("two-nodes")
    # A short name: sockets lie below it, whose paths may have 107 characters.
    ray_folder = tmp_path_factory.mktemp("r")
    command = [sys.executable, "-m", "tests.engines.rllib.two_nodes"]
    script = [*command, str(tiny_llama.name), str(out), str(ray_folder)]
    done = subprocess.run(
        [*ALONE, "bash", "-c", 'ip link set lo up && exec "$@"', "bash", *script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
        cwd=Path(__file__).parents[3],
    )
    sys.stdout.write(done.stdout)  # what has happened when
    assert done.returncode == 0, done.stdout[-4000:]
    result = json.loads((out / "result.json").read_text())
    replica, act = result["replica"], result["act"]
    assert replica["status"] == act["status"] == "finished"
    assert replica["tokens"] > 1000
    assert len(replica["evaluated"]) == 2
    assert act["story"] == [
        "killed the runner of the other node",
        "another runner has come; killed its node",
    ]
    assert act["runners"] == 3
    # Two runners in the first round, one at least in each of the next seven.
    assert len(act["equal"]) >= 9
    assert all(act["equal"])
    assert act["evaluated"] > 0.5
