"""What rows that a server has written say of it, in the rows of the metrics.

===================  ==============================================================================
server/log_prob_gap  how far its log-probs are from those of the model here, in nats a token
server/version       updates before the adapters that the server writes with
server/age_N         share of the rows that were written N updates before those of the rollout
===================  ==============================================================================
"""

from __future__ import annotations

import warnings

import numpy as np

from dragoman.engines.watcher import Rollout, Training, Watcher
from dragoman.roles.act.stamps import ServerWarning

LARGE = 0.1
"""Nats a token that no short format explains."""

SMALL = 0.01
"""Nats a token that are not worth a word, whatever they were before."""

TIMES = 4.0
"""Numerics differ as much in each rollout; an adapter that is not applied differs ever more."""


class ServerWatch(Watcher):
    """Measures how old rows are and how far the server is off, and warns once where it is much."""

    resumes = ("_usual",)

    def __init__(self) -> None:
        self._usual: float | None = None
        self._has_warned = False

    def rollout(self, training: Training, rollout: Rollout | None) -> None:
        """Record it."""
        if rollout is None or rollout.versions is None or rollout.gaps is None:
            return
        ages = int(training.row["server/version"]) - rollout.versions
        for age, rows in zip(*np.unique(ages, return_counts=True), strict=True):
            training.record(f"server/age_{age}", float(rows / ages.size))
        gap = float(rollout.gaps.mean())
        training.record("server/log_prob_gap", gap)
        # Before the first update adapters do nothing, so that what differs is numerics alone.
        self._usual = gap if self._usual is None else self._usual
        limit = min(LARGE, max(SMALL, TIMES * self._usual))
        if gap > limit and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"after {training.steps} steps, the server's log-probs are {gap:.3g} nats a token "
                f"from those of the model that is trained, which is more than {limit:.3g}; they "
                f"were {self._usual:.3g} at first\n  Cure: let it hold the same weights in the "
                "same format, unquantised, and look whether it applies each adapter that it "
                "loads: texts that another model writes are learnt as if this one had",
                ServerWarning,
                stacklevel=2,
            )
