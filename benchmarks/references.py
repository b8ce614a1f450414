"""Measure what the random and the reference policy of every task earn.

Writes src/dragoman/tasks/reference.json, which `dragoman ls tasks` prints:

    python benchmarks/references.py [ID ...]

With ids only their rows are measured again. Episode i is reset with seed i; the random policy
draws from the allowed actions by a generator of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from rich.progress import Progress

import dragoman.tasks
from dragoman.environments import environment_spec, make_environment
from dragoman.stats.bootstrap import bootstrap_interval
from dragoman.tasks.catalog import TASKS, Task

FILE = Path(dragoman.tasks.__file__).parent / "reference.json"


def uniform(env: gym.Env[Any, Any]) -> Any:
    """Draw from the allowed actions."""
    masks = getattr(env.unwrapped, "action_masks", None)
    return env.action_space.sample(None if masks is None else masks())


def returns(task: Task, policy: Callable[[gym.Env[Any, Any]], Any]) -> list[float]:
    """Return the undiscounted return of each episode."""
    spec = environment_spec(task.id, max_episode_steps=task.max_episode_steps)
    env = make_environment(spec, task.settings)
    env.action_space.seed(0)
    result = []
    for seed in range(task.episodes):
        env.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            _, reward, terminated, truncated, _ = env.step(policy(env))
            total, over = total + float(reward), terminated or truncated
        result.append(total)
    env.close()
    return result


def row(values: list[float]) -> dict[str, float]:
    """Return mean, interval and number of episodes."""
    interval = bootstrap_interval(
        np.array(values)[:, None],
        statistic=lambda scores: scores.mean(axis=(-1, -2)),
        generator=np.random.default_rng(0),
        method="percentile",
    )
    digits = {key: round(getattr(interval, key), 4) for key in ("estimate", "low", "high")}
    return {"mean": digits.pop("estimate"), **digits, "episodes": len(values)}


def main(ids: list[str]) -> None:
    """Measure the tasks of these ids, or all."""
    known = json.loads(FILE.read_text()) if FILE.is_file() else {}
    tasks = [task for task in TASKS if not ids or task.id in ids]
    with Progress() as progress:
        for task in progress.track(tasks, description="tasks"):
            if task.cure:
                sys.exit(f"{task.name}: {task.cure}")
            known[task.name] = {
                "reference_policy": task.reference,
                "random": row(returns(task, uniform)),
                "reference": row(returns(task, task.load_policy())),
            }
            # After each, so that a measurement that is stopped keeps what it has.
            kept = {task.name: known[task.name] for task in TASKS if task.name in known}
            FILE.write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
