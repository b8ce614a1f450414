"""What of a training is told of its progress."""

from __future__ import annotations

import time
from collections.abc import Sequence

from dragoman.engines.watcher import Stop, Training, Watcher
from dragoman.progress import Progress, Show
from dragoman.types import Info

FIGURES = {"return": "rollout/return_mean", "tokens/s": "time/tokens_per_second"}
"""What is said beside the speed, and the column of the metrics that it stands in."""


class TellProgress(Watcher):
    """Tells the stages before a training with their seconds, and then its steps.

    Args:
        show: What is told.
        steps: Environment steps of the whole training.
    """

    def __init__(self, show: Show, steps: int) -> None:
        self._show = show
        self._steps = steps
        self._stage: str | None = None
        self._began = time.monotonic()
        self._figures: dict[str, float] = {}
        self._done = 0

    def stage(self, what: str) -> None:
        """Tell that the last stage is over, and which comes now."""
        self._end_stage()
        self._stage = what
        self._show(Progress(what))

    def _end_stage(self) -> None:
        if self._stage is not None:
            self._show(Progress(self._stage, seconds=self._seconds, is_over=True))
        self._stage = None
        self._began = time.monotonic()

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def begin(self, training: Training) -> Stop:
        """Tell that the first step comes now."""
        self._end_stage()
        self._tell()
        return None

    def step(self, training: Training, infos: Sequence[Info]) -> Stop:
        """Tell how far it has come."""
        self._done = training.steps
        speed = {"steps/s": self._done / max(self._seconds, 1e-9)}
        columns = {name: key for name, key in FIGURES.items() if key in training.row}
        # Columns stand in a row until it is written; what was said last still holds.
        self._figures |= speed | {name: training.row[key] for name, key in columns.items()}
        self._tell()
        return None

    def _tell(self, is_over: bool = False) -> None:
        self._show(
            Progress("training", self._done, self._steps, self._seconds, is_over, self._figures)
        )

    def end(self, training: Training) -> None:
        """Tell that it is over."""
        self._tell(is_over=True)
