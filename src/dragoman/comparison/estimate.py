"""How long a comparison will take, measured on its first rollouts."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

from dragoman.comparison.comparison import Comparison
from dragoman.comparison.event import Event
from dragoman.errors import RunError
from dragoman.phrases import counted

MEASURED = 0.05
"""Share of a run after which its speed says something of the others."""
NEAR = 1.5
"""An estimate this many times another is another."""


class Estimate:
    """Says how many minutes all missing runs take, when arms with and without a model have run.

    An arm takes as long a step as the first that asks a model as it does, or asks none as it does.
    What passes before a first step, such as loading the model, is added once for each of these.
    Runs that are done know better, since a first rollout may meet texts that the cache has already:
    where they say something else, it is said again.

    Args:
        comparison: What is compared.
        clock: Gives the time in seconds.
    """

    def __init__(self, comparison: Comparison, clock: Callable[[], float] = time.monotonic) -> None:
        experiments = {name: comparison.experiment(name) for name in comparison.arms}
        self._asks = {name: one.uses_model for name, one in experiments.items()}
        self._steps = {name: one.steps for name, one in experiments.items()}
        self._runs = dict.fromkeys(comparison.arms, len(comparison.seeds))
        self._kept = 0
        self._clock = clock
        self._running: dict[tuple[str, int], float] = {}
        self._first: dict[tuple[str, int], tuple[float, int]] = {}
        self._before: dict[bool, float] = {}
        self._seconds: dict[bool, float] = {}
        self._whole: dict[bool, list[float]] = {}
        self._at_once = 1
        self._said: float | None = None

    def note(self, event: Event) -> str | None:
        """Take in what happened to a run, and return the estimate once there is one."""
        key, now = (event.arm, event.seed), self._clock()
        if event.kind == "kept" and event.arm:
            self._runs[event.arm] -= 1
            self._kept += 1
        elif event.kind == "started":
            self._running[key] = now
            self._at_once = max(self._at_once, len(self._running))
        elif event.kind in ("done", "failed"):
            began = self._running.pop(key, None)
            if event.kind == "done" and began is not None and event.arm:
                whole = self._whole.setdefault(self._asks[event.arm], [])
                whole.append((now - began) / self._steps[event.arm])
        elif event.kind == "steps":
            self._measure(key, event.steps, now)
        missing = {self._asks[name] for name, runs in self._runs.items() if runs}
        if not self._seconds or not missing <= self._seconds.keys():
            return None
        minutes = self._minutes()
        if self._said is not None and 1 / NEAR < minutes / self._said < NEAR:
            return None
        by = "by the first rollouts" if self._said is None else "by the runs that are done"
        self._said = minutes
        what = "for what is missing" if self._kept else "in all"
        return f"about {counted(max(round(minutes), 1), 'minute')} {what}, {by}"

    def _minutes(self) -> float:
        """Return how long all runs take that were not there before."""
        seconds = {
            asks: fmean(self._whole[asks]) if asks in self._whole else rate
            for asks, rate in self._seconds.items()
        }
        runs = sum(
            self._runs[name] * self._steps[name] * seconds[asks]
            for name, asks in self._asks.items()
            if self._runs[name]
        )
        before = sum(self._before[asks] for asks in seconds if asks not in self._whole)
        return (runs / self._at_once + before) / 60

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
