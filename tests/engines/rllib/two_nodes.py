"""A cluster of two nodes for trainings of which one loses a node: run by `test_two_nodes`, alone.

It must run where there is no network but the loopback, and no process but its own.

    python -m tests.engines.rllib.two_nodes MODEL OUT RAY_FOLDER
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ADDRESS = "127.0.0.1:6399"
WHERE = "127.0.0.1"
QUICK = {
    # Every second five checks of a node may fail, instead of every three.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    # Processes before anybody asks for them would compute instead of those that are asked for.
    "RAY_enable_worker_prestart": "0",
    "RAY_prestart_worker_first_driver": "0",
    # Ray gives way to every other process of a machine.
    "RAY_worker_niceness": "0",
}
"""Settings of Ray that let a small cluster start, and notice a loss, sooner."""


class Node:
    """A node of the cluster, as ``ray start`` makes it."""

    def __init__(self, *arguments: str) -> None:
        command = [str(Path(sys.executable).parent / "ray"), "start", "--block"]
        common = [
            "--object-store-memory=100000000",
            "--disable-usage-stats",
            "--num-cpus=1",
            "--no-monitor",
        ]
        self.process = subprocess.Popen(
            [*command, f"--node-ip-address={WHERE}", *common, *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        """Kill all of its processes at once, as when a machine loses its power."""
        for pid in [self.process.pid, *below(self.process.pid)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()


def below(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that they have."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(folder.name)] = int(fields[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def say(what: str) -> None:
    """Print what has happened, for whoever looks for what takes the time."""
    sys.stdout.write(f"{time.strftime('%X')} {what}\n")
    sys.stdout.flush()


def main(model: str, out: Path, ray_folder: str) -> None:
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)} | QUICK
    head = Node("--head", "--port=6399", "--include-dashboard=false", f"--temp-dir={ray_folder}")
    # It tries until there is a head.
    far = Node(f"--address={ADDRESS}")
    try:
        # They start meanwhile.
        from tests.engines.rllib.two_nodes_trainings import (
            act_though_a_node_is_lost,
            observe_with_a_replica,
            spec,
        )

        say("imported")
        result: dict[str, Any] = {"replica": observe_with_a_replica(spec(model), out / "replica")}
        say("trained with a replica")
        result["act"] = act_though_a_node_is_lost(spec(model), out / "act", far)
        say("trained with LoRA")
        (out / "result.json").write_text(json.dumps(result))
    finally:
        far.kill()
        head.kill()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
