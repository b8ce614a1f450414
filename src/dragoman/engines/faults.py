"""Tells in the metrics how often an environment was made anew."""

from __future__ import annotations

from dragoman.engines.watcher import Rollout, Stop, Training, Watcher
from dragoman.environments.guard import Faults


class CountFaults(Watcher):
    """Records ``guard/restarts``.

    Args:
        faults: What counts them.
    """

    resumes = ("faults",)

    def __init__(self, faults: Faults) -> None:
        self.faults = faults

    def rollout(self, training: Training, rollout: Rollout | None) -> Stop:
        """Complete the row."""
        training.record("guard/restarts", self.faults.restarts)
        return None
