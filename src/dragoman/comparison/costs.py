"""What the runs of an arm have cost, and what they would have with an empty cache.

A text that the disk remembers costs nothing, though another training has paid for it. With an empty
cache a run would have computed it once; one that it had asked before itself, it would have
remembered all the same. So an empty cache multiplies tokens, operations and seconds by

    (texts computed + texts read from disk) / texts computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dragoman.comparison.folder import COSTS

COLD = ("tokens", "gigaflops", "model_seconds")
"""Costs that a cache saves."""


def costs_over(costs: Mapping[int, Mapping[str, float]]) -> dict[str, Any]:
    """Return costs by seed and their means; nothing where no model was used.

    Args:
        costs: Of each seed, as `dragoman.comparison.folder.costs_of`.

    Returns:
        ``costs`` as given, and ``mean_costs`` with ``cold_tokens``, ``cold_gigaflops`` and
        ``cold_model_seconds`` besides, which are nothing where it is not known what a text costs,
        because every run found all of them, or how many came from the disk.
    """
    columns = ("steps", *COSTS)
    means: dict[str, float | None] = dict.fromkeys((*columns, *(f"cold_{key}" for key in COLD)))
    if costs:
        rows = list(costs.values())
        means |= {key: float(np.mean([row[key] for row in rows])) for key in columns}
        means |= _cold(rows)
        if not means["texts"]:
            means |= {key: None for key in means if key not in ("steps", "seconds")}
    return {"costs": costs, "mean_costs": means}


def _cold(rows: list[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean costs with an empty cache, by what a computed text cost over all runs."""
    computed = sum(row["texts"] - row["texts_remembered"] for row in rows)
    if not computed or any(np.isnan(row["texts_from_disk"]) for row in rows):
        return {}
    more = 1 + sum(row["texts_from_disk"] for row in rows) / computed
    return {f"cold_{key}": more * float(np.mean([row[key] for row in rows])) for key in COLD}
