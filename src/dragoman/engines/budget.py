"""Ends a training when its budget is used up."""

from __future__ import annotations

import time
from collections.abc import Sequence

from dragoman.engines.watcher import Stop, Training, Watcher
from dragoman.experiment.budget import Budget
from dragoman.types import Cost, Info, LanguageModel


class BudgetWatch(Watcher):
    """Stops when seconds or tokens are used up, and lets schedules end there too.

    Learning rates fall with the share of steps taken, whose number is not known here.

    Args:
        budget: What may be used.
        models: Whose tokens count.
        tokens: What they had read before anything was done for this training: what it reads
            before its first step counts too.
    """

    resumes = ("used",)

    def __init__(
        self, budget: Budget, models: Sequence[LanguageModel], tokens: int | None = None
    ) -> None:
        self.budget = budget
        self.models = models
        self._tokens = tokens
        self._begin = 0.0

    @property
    def used(self) -> float:
        """How much of it has been used since the training started."""
        return self._total() - self._begin

    @used.setter
    def used(self, amount: float) -> None:
        self._begin = self._total() - amount

    def _total(self) -> float:
        if self.budget.measure == "seconds":
            return time.monotonic()
        return float(total_cost(self.models).tokens)

    def begin(self, training: Training) -> Stop:
        """Start to count."""
        counted = self.budget.measure == "tokens" and self._tokens is not None
        self._begin = float(self._tokens or 0) if counted else self._total()
        return None

    def step(self, training: Training, infos: Sequence[Info]) -> Stop:
        """Stop once it is used up."""
        return self.used >= self.budget.amount

    def progress(self) -> float:
        """Return the share that is used."""
        return self.used / self.budget.amount


def total_cost(models: Sequence[LanguageModel]) -> Cost:
    """Return what several language models have cost together."""
    return sum((model.cost for model in models), Cost())
