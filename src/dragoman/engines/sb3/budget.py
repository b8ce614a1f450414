"""Ends a training when its budget is used up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

from dragoman.experiment.budget import Budget
from dragoman.types import Cost, LanguageModel


class BudgetStop(BaseCallback):
    """Stops when seconds or tokens are used up, and lets schedules end there too.

    Args:
        budget: What may be used.
        models: Whose tokens count.
    """

    def __init__(self, budget: Budget, models: Sequence[LanguageModel]) -> None:
        super().__init__()
        self.budget = budget
        self.models = models

    @property
    def used(self) -> float:
        """How much of it has been used since the training started."""
        return self._total() - self._begin

    def _total(self) -> float:
        if self.budget.measure == "seconds":
            return time.monotonic()
        return float(total_cost(self.models).tokens)

    def _on_training_start(self) -> None:
        self._begin = self._total()
        # Learning rates fall with the share of steps taken, whose number nobody knows here.
        # Stable-Baselines3 reckons it between a rollout and its update, where no callback is.
        algorithm: Any = self.model
        algorithm._update_current_progress_remaining = self._update_progress

    def _update_progress(self, steps: int, most: int) -> None:
        share = max(self.used / self.budget.amount, steps / most)
        self.model._current_progress_remaining = 1.0 - min(share, 1.0)

    def _on_step(self) -> bool:
        return self.used < self.budget.amount


def total_cost(models: Sequence[LanguageModel]) -> Cost:
    """Return what several language models have cost together."""
    costs = [model.cost for model in models]
    return Cost(
        **{one.name: sum(getattr(cost, one.name) for cost in costs) for one in fields(Cost)}
    )
