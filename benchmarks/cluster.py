"""What more runners bring: where the environment takes the time, or one model answers for all.

    python benchmarks/cluster.py [--rounds 8] [--out FOLDER]
    python benchmarks/cluster.py --simulate      # on paper: more runners than there are cores

All trainings are real, on a cluster of this machine, one after the other. Time is simulated by
sleep, so that two cores are enough for four runners: a step of the environment takes 50 ms, and
in the rows with a replica a forward of its model takes 30 ms, however many texts it reads. Each
number is of the rounds after the second: Ray and RLlib do some things once, in the first two.
"""

from __future__ import annotations

import argparse
import heapq
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import ray

from dragoman.engines.rllib import RLlib, cluster
from dragoman.engines.rllib import replica as replicas
from dragoman.engines.train import train
from dragoman.engines.watcher import Watcher
from dragoman.experiment import Algorithm, Experiment
from dragoman.models.spec import ModelSpec
from dragoman.roles.observe.settings import Observe
from dragoman.run import Run, describe_machine

ROOT = Path(__file__).parents[1]
STEP, FORWARD = 0.05, 0.03
STEPS = 48
"""Of each runner in a round."""


class Waiting(gym.Env[Any, Any]):
    """Takes its time, and never shows the same numbers twice."""

    observation_space = gym.spaces.Box(-1, 1, (2,), np.float64)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, seconds: float = STEP) -> None:
        self.seconds = seconds

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return self.np_random.uniform(-1, 1, 2), {}

    def step(self, action: Any) -> Any:
        time.sleep(self.seconds)
        self.steps += 1
        return self.np_random.uniform(-1, 1, 2), float(action), False, self.steps == 40, {}


class Device:
    """A model whose forwards take as long as on one busy device, whatever their number of texts."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def encode(self, *arguments: Any, **settings: Any) -> Any:
        begun = time.monotonic()
        result = self.model.encode(*arguments, **settings)
        time.sleep(max(FORWARD - (time.monotonic() - begun), 0))
        return result


class SlowReplica(replicas.Replica):
    """A replica on such a device."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._batcher.model = Device(self._batcher.model)


class Clock(Watcher):
    """Notes the steps of each round and the calls of each forward."""

    def __init__(self) -> None:
        self.rounds: list[tuple[float, int]] = []
        self.sizes: list[int] = []

    def update(self, training: Any) -> None:
        self.rounds.append((time.monotonic(), training.steps))
        if getattr(training, "_replicas", None):
            self.sizes = ray.get(training._replicas[0].sizes.remote())

    @property
    def rate(self) -> float:
        """Steps a second after the second round."""
        (begun, first), (ended, last) = self.rounds[1], self.rounds[-1]
        return (last - first) / (ended - begun)


@dataclass(frozen=True)
class Trained:
    """What a training has shown."""

    rate: float
    calls: float
    run: Run


def trained(experiment: Experiment, folder: Path, engine: RLlib | None = None) -> Trained:
    clock = Clock()
    run = train(experiment, out=folder, engine=engine, watchers=[clock])
    calls = statistics.mean(clock.sizes[1:]) if len(clock.sizes) > 1 else 1.0
    said = f"{clock.rate:.1f} steps/s, {calls:.2f} calls a forward"
    print(f"  {folder.name}: {said}, load {os.getloadavg()[0]:.1f}", flush=True)
    return Trained(clock.rate, calls, run)


def waiting(model: ModelSpec, runners: int, rounds: int) -> Experiment:
    """Return an experiment with one slow environment a runner."""
    steps = STEPS * runners
    settings = {"n_steps": STEPS, "batch_size": steps, "n_epochs": 1}
    return Experiment(
        env="benchmarks.cluster:Waiting",
        steps=rounds * steps,
        num_envs=runners,
        algorithm=Algorithm("ppo", settings, (8,)),
        model=model,
        observe=Observe(pooling=("last",), freeze_after=8),
    )


def simulated(runners: int, forward: float = FORWARD, seconds: float = 60) -> tuple[float, float]:
    """Return steps a second of runners that share one replica, and its mean calls a forward.

    Steps take 50 ms, 5 ms more or less; what arrives while the model is busy goes next.
    """
    draw = np.random.default_rng(0)
    events = [(draw.uniform(0, STEP), i) for i in range(runners)]
    heapq.heapify(events)
    free_at, sizes = 0.0, []
    while free_at < seconds:
        begun = max(free_at, events[0][0])
        calls = []
        while events and events[0][0] <= begun:
            calls.append(heapq.heappop(events)[1])
        free_at = begun + forward
        sizes.append(len(calls))
        for i in calls:
            heapq.heappush(events, (free_at + STEP + draw.normal(0, 0.1 * STEP), i))
    return sum(sizes) / free_at, statistics.mean(sizes)


def row(name: str, one: float, other: float, target: float | None, note: str = "") -> str:
    aimed = "" if target is None else f"{target:g}"
    return f"| {name} | {one:.3g} | {other:.3g} | {other / one:.3g} | {aimed} | {note} |"


def measured(model: ModelSpec, folder: Path, rounds: int) -> list[str]:
    rows = []
    own = [
        trained(waiting(model, n, rounds), folder / f"own-{n}", RLlib(env_runners=n))
        for n in (1, 4)
    ]
    name = "1 and 4 runners, a model in each"
    rows.append(row(name, own[0].rate, own[1].rate, 3.4, "steps/s; 50 ms a step"))
    replicas.Replica = SlowReplica  # type: ignore[misc]
    shared = [
        trained(
            waiting(model, n, rounds),
            folder / f"shared-{n}",
            RLlib(env_runners=n, model_replicas=1),
        )
        for n in (1, 4)
    ]
    note = f"steps/s; 30 ms a forward, which answers {shared[1].calls:.2f} calls in the mean"
    rows.append(
        row("1 and 4 runners, one model for all", shared[0].rate, shared[1].rate, 3.0, note)
    )
    lake = replace(
        waiting(model, 2, 1),
        env="FrozenLake-v1",
        steps=2048,
        num_envs=8,
        algorithm=Algorithm("ppo", {"n_steps": 64, "batch_size": 256, "n_epochs": 1}, (8,)),
    )
    hits = [_hits(trained(lake, folder / f"hits-{n}", RLlib(env_runners=n)).run) for n in (0, 2)]
    rows.append(row("texts remembered, no runner and 2", *hits, 0.95, "share; FrozenLake"))
    pole = replace(lake, env="CartPole-v1", observe=None, steps=8192)
    theirs = trained(pole, folder / "sb3")
    ours = trained(pole, folder / "rllib", RLlib(env_runners=1))
    note = "steps/s; CartPole without a model, one epoch"
    rows.append(
        row("Stable-Baselines3, and RLlib with a runner", theirs.rate, ours.rate, None, note)
    )
    return rows


def _hits(run: Run) -> float:
    last = run.last_metrics()
    return float(last["model/texts_remembered"] / last["model/texts"])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results")
    parser.add_argument("--simulate", action="store_true")
    options = parser.parse_args(arguments)
    if options.simulate:
        print("| runners of a replica | steps/s of each | calls a forward |\n|---|---|---|")
        for runners in (1, 4, 10, 40, 100):
            rate, calls = simulated(runners)
            print(f"| {runners} | {rate / runners:.1f} | {calls:.1f} |")
        return
    load = os.getloadavg()[0]
    sys.path.insert(0, str(ROOT))
    from tests.models import tiny

    with tempfile.TemporaryDirectory() as name:
        path = tiny.save("llama", Path(name) / "llama")
        model = ModelSpec(str(path), dtype="float32", threads=1)
        # Ray gives way to every other process of a machine.
        os.environ.setdefault("RAY_worker_niceness", "0")
        cluster.start(cpus=6)
        try:
            rows = measured(model, Path(name), options.rounds)
        finally:
            cluster.stop()
    text = "\n".join(
        ["| what | first | second | ratio | target | unit |", "|---|---|---|---|---|---|", *rows]
    )
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    here = describe_machine()
    said = (
        f"{os.cpu_count()} cores of {here['processor']}, {here['platform']}, ray "
        f"{ray.__version__}, load {load:.1f} at the start. {options.rounds} rounds of {STEPS} "
        "steps a runner, one training each."
    )
    (options.out / "cluster.md").write_text(f"# More runners\n\n{said}\n\n{text}\n")


if __name__ == "__main__":
    main()
