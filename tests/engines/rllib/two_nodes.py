"""Trainings on a cluster of two nodes, of which one is lost: run by `test_two_nodes`, alone.

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
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dragoman.agents.evaluate import evaluate
from dragoman.engines.rllib import RLlib
from dragoman.engines.train import train
from dragoman.engines.watcher import Watcher
from dragoman.experiment import Algorithm, Experiment
from dragoman.models.spec import ModelSpec
from dragoman.roles.observe.settings import Observe
from tests.engines.sb3.test_tuned import recall, tuned

ADDRESS = "127.0.0.1:6399"
WHERE = "127.0.0.1"


class Node:
    """A node of the cluster, as ``ray start`` makes it."""

    def __init__(self, *arguments: str) -> None:
        command = [str(Path(sys.executable).parent / "ray"), "start", "--block"]
        common = ["--object-store-memory=100000000", "--disable-usage-stats", "--num-cpus=1"]
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


def seen_of(runner: Any) -> dict[str, Any]:
    """Return what a runner has, and where it is."""
    import ray

    return {
        "pid": os.getpid(),
        "node": ray.get_runtime_context().get_node_id(),
        "weights": runner.module.get_state(),
    }


class Faults(Watcher):
    """Kills a runner of the other node, waits for the next one, and kills that node.

    Attributes:
        story: What has happened, by time.
        equal: Of each round, whether all had the same weights.
    """

    def __init__(self, far: Node) -> None:
        self.far = far
        self.story: list[str] = []
        self.equal: list[bool] = []
        self.pids: set[int] = set()
        self.alone_since = 0
        self.rounds = 0

    def update(self, training: Any) -> bool:
        import ray

        self.rounds += 1
        group = training._algorithm.env_runner_group
        runners = group.foreach_env_runner(seen_of, local_env_runner=False, timeout_seconds=10)
        own = {name: np.asarray(one) for name, one in training.weights().items()}
        self.equal += [
            all(
                np.array_equal(one, runner["weights"][f"policy.{name}"])
                for name, one in own.items()
            )
            for runner in runners
        ]
        here = ray.get_runtime_context().get_node_id()
        there = [runner["pid"] for runner in runners if runner["node"] != here]
        self.pids |= {runner["pid"] for runner in runners}
        if not self.story and len(runners) == 2:
            assert len(there) == 1, "runners are not on two nodes"
            self.say(training, "killed the runner of the other node")
            os.kill(there[0], signal.SIGKILL)
        elif len(self.story) == 1 and len(self.pids) == 3 and len(runners) == 2:
            self.say(training, "another runner has come; killed its node")
            self.far.kill()
            self.alone_since = self.rounds
        return len(self.story) == 2 and self.rounds >= self.alone_since + 3

    def say(self, training: Any, what: str) -> None:
        self.story.append(what)
        sys.stdout.write(f"{time.monotonic():.0f} s: step {training.steps}: {what}\n")
        sys.stdout.flush()


def observe_with_a_replica(model: ModelSpec, out: Path) -> dict[str, Any]:
    """Train on features that one process computes for a runner."""
    experiment = Experiment(
        env="CartPole-v1",
        steps=128,
        num_envs=2,
        algorithm=Algorithm("ppo", {"n_steps": 32, "batch_size": 64, "n_epochs": 1}, (8,)),
        model=model,
        observe=Observe(pooling=("last",), freeze_after=32),
    )
    engine = RLlib(address=ADDRESS, env_runners=1, model_replicas=1)
    run = train(experiment, out=out, engine=engine)
    return {"status": run.status, "tokens": run.last_metrics()["model/tokens"],
            "evaluated": evaluate(run, 2).returns}  # fmt: skip


def act_though_a_node_is_lost(model: ModelSpec, out: Path, far: Node) -> dict[str, Any]:
    """Train a model with LoRA in two runners, and lose one of them, and then its node."""
    faults = Faults(far)
    experiment = replace(recall("score", tuned("lora"), model), steps=1_000_000)
    engine = RLlib(address=ADDRESS, env_runners=2, patience=60)
    run = train(experiment, out=out, engine=engine, watchers=[faults])
    return {
        "status": run.status,
        "steps": run.steps,
        "story": faults.story,
        "equal": faults.equal,
        "runners": len(faults.pids),
        "evaluated": evaluate(run, 60).mean,
    }


def main(model: ModelSpec, out: Path, ray_folder: str) -> None:
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    os.environ.setdefault("RAY_worker_niceness", "0")
    begun = time.monotonic()
    head = Node("--head", "--port=6399", "--include-dashboard=false", f"--temp-dir={ray_folder}")
    # It tries until there is a head.
    far = Node(f"--address={ADDRESS}")
    try:
        result: dict[str, Any] = {"replica": observe_with_a_replica(model, out / "replica")}
        sys.stdout.write(f"replica: {time.monotonic() - begun:.0f} s\n")
        sys.stdout.flush()
        result["act"] = act_though_a_node_is_lost(model, out / "act", far)
        result["seconds"] = time.monotonic() - begun
        (out / "result.json").write_text(json.dumps(result))
    finally:
        far.kill()
        head.kill()


if __name__ == "__main__":
    main(ModelSpec(sys.argv[1], dtype="float32", threads=1), Path(sys.argv[2]), sys.argv[3])
