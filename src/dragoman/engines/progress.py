"""A progress bar for training, and lines where it goes into a file."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dragoman.engines.watcher import Stop, Training, Watcher
from dragoman.types import Info

LINE_SECONDS = 30.0
"""Seconds between two lines, where no terminal shows the bar."""


class ProgressBar(Watcher):
    """Shows steps a second, mean return and model tokens a second while training.

    Args:
        steps: Environment steps of the whole training.
    """

    def __init__(self, steps: int) -> None:
        self._bar = Progress(
            TextColumn("train"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._line_at = 0.0
        self._task = self._bar.add_task("train", start=False, total=steps, speed="")

    def stage(self, what: str) -> None:
        """Say it in a line."""
        self._bar.console.print(what, highlight=False)

    def begin(self, training: Training) -> Stop:
        """Show it."""
        self._line_at = time.monotonic()
        self._bar.start_task(self._task)
        self._bar.start()
        return None

    def step(self, training: Training, infos: Sequence[Info]) -> Stop:
        """Move it on."""
        parts = [f"{self._bar.tasks[0].speed or 0:,.0f} steps/s"]
        if "rollout/return_mean" in training.row:
            parts.append(f"return {training.row['rollout/return_mean']:.1f}")
        if "time/tokens_per_second" in training.row:
            parts.append(f"{training.row['time/tokens_per_second']:,.0f} tokens/s")
        self._bar.update(self._task, completed=training.steps, speed=" · ".join(parts))
        if not self._bar.console.is_terminal and time.monotonic() - self._line_at > LINE_SECONDS:
            self._line_at = time.monotonic()
            whole = f"{training.steps:,} of {self._bar.tasks[0].total:,.0f} steps"
            self._bar.console.print(" · ".join([whole, *parts]), highlight=False)
        return None

    def end(self, training: Training) -> None:
        """Leave it as it is."""
        self._bar.stop()
