"""What an arm loses where its agents meet another environment, or other words, than in training.

Of each shift an arm's results have ``scores`` (mean return by seed), ``mean`` with its interval,
and ``change``: the mean over seeds of the score under the shift less that of the same agent's
evaluation, with its 95 % bootstrap interval (BCa), and ``by_seed``. A loss is a change below 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from dragoman.maths.seeds import derive_seed
from dragoman.stats.aggregates import mean
from dragoman.stats.bootstrap import bootstrap_interval


def shifts_of(
    arm: str,
    shifts: Iterable[str],
    evaluations: Mapping[int, Mapping[str, Any]],
    usual: Mapping[int, float],
) -> dict[str, Any]:
    """Return what an arm earns under each shift of which a run was played.

    Args:
        arm: Its name.
        shifts: Names of the shifts.
        evaluations: What ``evaluation.json`` says, by seed.
        usual: Score without a shift, by seed.
    """
    results = {}
    for shift in shifts:
        played = {
            seed: float(np.mean(said["shifts"][shift]))
            for seed, said in evaluations.items()
            if shift in said.get("shifts", ())
        }
        if not played:
            continue
        changes = [score - usual[seed] for seed, score in played.items()]
        results[shift] = {
            "scores": played,
            "mean": _interval([*played.values()], arm, shift, "mean"),
            "change": _interval(changes, arm, shift, "change"),
            "by_seed": changes,
        }
    return results


def _interval(values: list[float], *names: str) -> dict[str, Any]:
    generator = np.random.default_rng(derive_seed("shift", *names))
    return asdict(bootstrap_interval(values, statistic=mean, generator=generator))
