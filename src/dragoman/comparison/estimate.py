"""How long a comparison will take, measured on its first rollouts."""

from __future__ import annotations

import time
from collections.abc import Callable

from dragoman.comparison.comparison import Comparison
from dragoman.comparison.event import Event
from dragoman.phrases import counted

MEASURED = 0.05
"""Share of a run after which its speed says something of the others."""


class Estimate:
    """Says once how many minutes the trainings take, when arms with and without a model have run.

    An arm takes as long a step as the first that asks a model as it does, or asks none as it does.

    Args:
        comparison: What is compared.
        clock: Gives the time in seconds.
    """

    def __init__(self, comparison: Comparison, clock: Callable[[], float] = time.monotonic) -> None:
        experiments = {name: comparison.experiment(name) for name in comparison.arms}
        self._asks = {name: one.uses_model for name, one in experiments.items()}
        self._steps = {name: one.steps for name, one in experiments.items()}
        self._seeds = len(comparison.seeds)
        self._clock = clock
        self._running: dict[tuple[str, int], float] = {}
        self._seconds: dict[bool, float] = {}
        self._is_said = False

    def note(self, event: Event) -> str | None:
        """Take in what happened to a run, and return the estimate once there is one."""
        key, now = (event.arm, event.seed), self._clock()
        if event.kind == "started":
            self._running[key] = now
        elif event.kind in ("done", "failed"):
            self._running.pop(key, None)
        elif event.kind == "steps" and event.steps >= MEASURED * self._steps[event.arm]:
            since = now - self._running[key]
            self._seconds.setdefault(self._asks[event.arm], since / event.steps)
        if self._is_said or set(self._seconds) != set(self._asks.values()):
            return None
        self._is_said = True
        one_seed = sum(self._steps[name] * self._seconds[asks] for name, asks in self._asks.items())
        minutes = round(one_seed * self._seeds / max(len(self._running), 1) / 60)
        return f"about {counted(max(minutes, 1), 'minute')} of training, by the first rollouts"
