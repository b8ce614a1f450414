"""Tells in the metrics how often environments were made anew, and left their bounds."""

from __future__ import annotations

from dragoman.engines.watcher import Rollout, Stop, Training, Watcher
from dragoman.environments.guard import Faults


class CountFaults(Watcher):
    """Records ``guard/restarts`` where copies are made anew, and ``guard/outside`` where it is any.

    Args:
        faults: What counts them.
    """

    resumes = ("faults",)

    def __init__(self, faults: Faults) -> None:
        self.faults = faults

    def rollout(self, training: Training, rollout: Rollout | None) -> Stop:
        """Complete the row."""
        if self.faults.settings.on_fault == "restart":
            training.record("guard/restarts", self.faults.restarts)
        if self.faults.outside:
            training.record("guard/outside", self.faults.outside)
        return None
