"""How long a comparison will take, measured on its first rollouts."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dragoman.comparison.comparison import Comparison
from dragoman.comparison.event import Event
from dragoman.errors import RunError
from dragoman.phrases import counted

MEASURED = 0.05
"""Share of a run after which its speed says something of the others."""


class Estimate:
    """Says once how many minutes the trainings take, when arms with and without a model have run.

    An arm takes as long a step as the first that asks a model as it does, or asks none as it does.
    What passes before a first step, such as loading the model, is added once for each of these.

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
        self._first: dict[tuple[str, int], tuple[float, int]] = {}
        self._before: dict[bool, float] = {}
        self._seconds: dict[bool, float] = {}
        self._is_said = False

    def note(self, event: Event) -> str | None:
        """Take in what happened to a run, and return the estimate once there is one."""
        key, now = (event.arm, event.seed), self._clock()
        if event.kind == "started":
            self._running[key] = now
        elif event.kind in ("done", "failed"):
            self._running.pop(key, None)
        elif event.kind == "steps":
            self._measure(key, event.steps, now)
        if self._is_said or set(self._seconds) != set(self._asks.values()):
            return None
        self._is_said = True
        one_seed = sum(self._steps[name] * self._seconds[asks] for name, asks in self._asks.items())
        seconds = one_seed * self._seeds / max(len(self._running), 1) + sum(self._before.values())
        minutes = counted(max(round(seconds / 60), 1), "minute")
        return f"about {minutes} of training, by the first rollouts"

    def _measure(self, key: tuple[str, int], steps: int, now: float) -> None:
        """Take in how far a run has come: its speed counts from the first that is told of it."""
        began, first = self._first.setdefault(key, (now, steps))
        asks = self._asks[key[0]]
        self._before.setdefault(asks, now - self._running[key])
        if steps - first >= MEASURED * self._steps[key[0]]:
            self._seconds.setdefault(asks, (now - began) / (steps - first))


class _Measured(KeyboardInterrupt):
    """The estimate is there: the trainings stop as after Ctrl-C."""


def measured(comparison: Comparison, **settings: Any) -> str | None:
    """Begin a comparison in a folder that is thrown away, and return how long all of it will take.

    Args:
        comparison: What is measured.
        settings: As of `dragoman.compare`.

    Returns:
        A few words, or nothing where the trainings were over before they could be measured.

    Raises:
        ConfigError: An arm cannot work.
        RunError: A training failed.
    """
    from dragoman.comparison.runner import compare

    estimate = Estimate(comparison)
    said: list[str] = []

    def note(event: Event) -> None:
        if event.kind == "failed":
            name = event.arm or "the random policy"
            raise RunError(f"{name} failed: {event.text}", cure="mend it, then plan again")
        if (minutes := estimate.note(event)) is not None:
            said.append(minutes)
            raise _Measured

    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(_Measured):
        compare(comparison, Path(folder) / "measured", progress=False, on_event=note, **settings)
    return said[0] if said else None
