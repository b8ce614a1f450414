"""Tables of scores: one row a run, one column a task."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dragoman.errors import ConfigError

Scores: TypeAlias = NDArray[np.float64]
"""float64 array ``(..., R, T)``: ``R`` runs of ``T`` tasks, any number of tables in front."""


def as_table(scores: ArrayLike, *, name: str = "scores") -> Scores:
    """Return scores of shape ``(R,)``, ``(R, T)`` or ``(..., R, T)`` with both axes there.

    ``(R,)`` are the runs of one task and become ``(R, 1)``.

    Args:
        scores: Finite numbers.
        name: What to call them in an error.

    Raises:
        ConfigError: There are no runs or no tasks, or a score is NaN or infinite.
    """
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim == 1:
        table = table[:, None]
    if table.ndim < 2 or 0 in table.shape[-2:]:
        raise ConfigError(
            f"{name} have shape {np.shape(scores)}, which holds no runs of a task",
            cure="give one score a run, (R,), or one row a run and one column a task, (R, T)",
        )
    if not np.isfinite(table).all():
        # Only single tables come from outside; stacks are made here, of finite ones.
        run, task = np.argwhere(~np.isfinite(table))[0][-2:]
        raise ConfigError(
            f"{name} hold {table[..., run, task]} at run {run}, task {task}",
            cure="leave that run out, or train it again",
        )
    return table
