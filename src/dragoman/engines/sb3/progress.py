"""A progress bar for training."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from stable_baselines3.common.callbacks import BaseCallback


class ProgressBar(BaseCallback):
    """Shows steps a second, mean return and model tokens a second while training.

    Args:
        steps: Environment steps of the whole training.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def _on_training_start(self) -> None:
        self._bar = Progress(
            TextColumn("train"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task("train", total=self.steps, speed="")
        self._bar.start()

    def _on_step(self) -> bool:
        task = self._bar.tasks[0]
        values = self.logger.name_to_value
        parts = [f"{task.speed or 0:,.0f} steps/s"]
        if "rollout/return_mean" in values:
            parts.append(f"return {values['rollout/return_mean']:.1f}")
        if "time/tokens_per_second" in values:
            parts.append(f"{values['time/tokens_per_second']:,.0f} tokens/s")
        self._bar.update(self._task, completed=self.num_timesteps, speed=" · ".join(parts))
        return True

    def _on_training_end(self) -> None:
        self._bar.stop()
