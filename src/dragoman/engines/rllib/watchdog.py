"""Ends a training in which nothing happens any more."""

from __future__ import annotations

import time

from dragoman.errors import DragomanError


class NoStepsError(DragomanError):
    """A training whose runners have taken no step for too long."""


class LearnerLostError(DragomanError):
    """A training whose learner's process, or node, is gone."""


class Watchdog:
    """Counts seconds without a step: a round without one may be over in two.

    Args:
        patience: Most seconds without a step.
    """

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self._since = time.monotonic()

    def note(self, steps: int) -> None:
        """Note how many steps a round had.

        Raises:
            NoStepsError: There has been none for longer than that.
        """
        now = time.monotonic()
        if steps:
            self._since = now
        elif now - self._since > self.patience:
            raise NoStepsError(
                f"no runner has taken a step for {now - self._since:.0f} seconds",
                cure="see in Ray's logs why runners do not come back, or raise the engine's "
                "patience where a step takes that long",
            )
