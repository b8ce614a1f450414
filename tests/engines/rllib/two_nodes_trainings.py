"""What is trained on the cluster of `two_nodes`, and who loses its parts meanwhile."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import ray

from dragoman.agents.evaluate import evaluate
from dragoman.engines.rllib import RLlib
from dragoman.engines.train import train
from dragoman.engines.watcher import Watcher
from dragoman.experiment import Algorithm, Experiment
from dragoman.models.spec import ModelSpec
from dragoman.roles.observe.settings import Observe
from tests.engines.rllib.two_nodes import ADDRESS, Node, say
from tests.engines.sb3.test_tuned import recall, tuned

ROUNDS = 8
"""Fewest of the training with LoRA, which must have learnt something by then."""


def spec(folder: str) -> ModelSpec:
    """Name a saved model."""
    return ModelSpec(folder, dtype="float32", threads=1)


def seen_of(runner: Any) -> dict[str, Any]:
    """Return what a runner has, and where it is."""
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
        self.rounds += 1
        if self.rounds == 1:
            say("the first round is over")
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
        return len(self.story) == 2 and self.rounds >= max(self.alone_since + 3, ROUNDS)

    def say(self, training: Any, what: str) -> None:
        self.story.append(what)
        say(f"step {training.steps}: {what}")


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
