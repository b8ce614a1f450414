"""What of a comparison is told of its progress."""

from __future__ import annotations

import time

from dragoman.comparison.comparison import Comparison
from dragoman.comparison.event import Event
from dragoman.progress import Progress, Show


class TellRuns:
    """Tells the steps of all runs together, and how many runs have ended.

    Args:
        show: What is told.
        comparison: Whose runs they are.
    """

    def __init__(self, show: Show, comparison: Comparison) -> None:
        self._show = show
        self._whole = {name: comparison.experiment(name).steps for name in comparison.arms}
        self._runs = len(comparison.arms) * len(comparison.seeds)
        self._total = sum(self._whole.values()) * len(comparison.seeds)
        self._steps: dict[tuple[str, int], int] = {}
        self._ended = self._failed = 0
        self._began = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Take in what happened to a run."""
        if not event.arm:
            return
        if event.kind in ("kept", "done", "failed"):
            self._ended += 1
            self._failed += event.kind == "failed"
            self._steps[event.arm, event.seed] = self._whole[event.arm]
        elif event.kind == "steps":
            self._steps[event.arm, event.seed] = min(event.steps, self._whole[event.arm])
        figures = {"runs ended": float(self._ended)}
        figures |= {"failed": float(self._failed)} if self._failed else {}
        seconds, is_over = time.monotonic() - self._began, self._ended == self._runs
        done = sum(self._steps.values())
        self._show(Progress("comparing", done, self._total, seconds, is_over, figures))
