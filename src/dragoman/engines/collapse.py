"""Signs that a policy is collapsing, in the rows of the metrics, and one warning for each.

===================  =============================================================================
collapse/entropy     entropy of the policy, over that of a uniform choice among what is
                     valid; near zero, nothing is tried any more
collapse/top_action  share of the commonest action of a rollout; near one, all states look alike
collapse/value       share of the returns' variance that the critic explains; below zero it is
                     worse than a constant, and its advantages are noise
collapse/gradient    length of the gradient before it is clipped, mean of an update
collapse/drift       divergence of the policy after an update from that before, in nats
collapse/invalid     share of steps whose text was no valid action, where the environment says
                     so (``info["invalid_text"]``)
===================  =============================================================================

They describe the update before the row, as the columns ``train/`` do.
"""

from __future__ import annotations

import logging
import math
import statistics
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Discrete
from torch import Tensor

from dragoman.engines.texts import signs_of
from dragoman.engines.watcher import Rollout, Stop, Training, Watcher
from dragoman.experiment.collapse import Collapse
from dragoman.types import Info

log = logging.getLogger(__name__)

CURES = {
    "entropy": "raise ent_coef or lower the learning rate, unless the returns are as wanted: a "
    "policy that has learnt its task is sure of itself too",
    "top_action": "raise ent_coef, and look at what the reward pays for",
    "value": "raise the learning rate or vf_coef, or train a tuned model's critic first "
    "(act.tune.warm_up); where returns hardly differ yet, there is little to explain",
    "gradient": "lower the learning rate or max_grad_norm",
    "drift": "set target_kl, or lower the learning rate or n_epochs",
    "information": "raise ent_coef, lower the learning rate, or drop groups whose rewards hardly "
    "differ (credit.keep): texts no longer depend on what is asked",
    "length": "lower act.max_tokens or act.think, or look at whether the reward pays for length",
    "invalid": "let the policy score valid actions, or constrain the text",
}
IS_LEAST = {"entropy", "value", "information"}
"""Signs that trip below their limit; the others do above."""
FIRST = 5
"""Updates whose texts have the usual length."""
WINDOW = 20
"""Updates whose median a gradient is compared with, from the fifth on."""


class GradientLengths:
    """Lengths of the gradients of all backward passes, as they were before anyone clipped them.

    Args:
        weights: What has gradients.
    """

    def __init__(self, weights: Iterable[Tensor]) -> None:
        self._squares: dict[int, Tensor] = {}
        self._lengths: list[float] = []
        for weight in weights:
            register: Any = weight.register_post_accumulate_grad_hook
            register(self._note)

    def drain(self) -> list[float]:
        """Return the lengths since the last call."""
        self._finish()
        lengths, self._lengths = self._lengths, []
        return lengths

    def _note(self, weight: Tensor) -> None:
        # A weight that comes again belongs to the next pass.
        if id(weight) in self._squares:
            self._finish()
        assert weight.grad is not None
        self._squares[id(weight)] = weight.grad.detach().float().square().sum()

    def _finish(self) -> None:
        if self._squares:
            self._lengths.append(math.sqrt(float(torch.stack([*self._squares.values()]).sum())))
            self._squares = {}


class CollapseWatch(Watcher):
    """Measures the signs, warns once of each that trips, and may stop the training.

    For on-policy algorithms.

    Args:
        limits: From where on a sign trips.
        warn: Called with what happened and what helps.

    Attributes:
        tripped: Signs that have tripped.
    """

    resumes = (
        "tripped",
        "_beyond",
        "_before",
        "_invalid",
        "_uniform",
        "_top",
        "_has_been_above",
        "_lengths",
    )

    def __init__(self, limits: Collapse, warn: Callable[[str], None] = log.warning) -> None:
        self.limits = limits
        self.warn = warn
        self.tripped: list[str] = []
        self._gradients = GradientLengths([])
        self._beyond: Counter[str] = Counter()
        self._before: deque[float] = deque(maxlen=WINDOW)
        self._invalid: list[bool] = []
        self._uniform = 0.0
        self._top: float | None = None
        self._has_been_above: set[str] = set()
        self._texts: dict[str, float] = {}
        self._lengths: list[float] = []

    def begin(self, training: Training) -> Stop:
        """Follow the gradients from here on."""
        weights = [weight for weight in training.policy.parameters() if weight.requires_grad]
        self._gradients = GradientLengths(weights)
        return None

    def step(self, training: Training, infos: Sequence[Info]) -> Stop:
        """Note which texts were no valid actions."""
        for info in infos:
            # What the step that ended an episode said lies within the new one's info.
            info = info.get("final_info", info)
            if "invalid_text" in info:
                self._invalid.append(bool(info["invalid_text"]))
        return None

    def rollout(self, training: Training, rollout: Rollout | None) -> Stop:
        """Note what was chosen, and how much there was to choose from."""
        if rollout is not None:
            self._texts = signs_of(training.policy, rollout, self.limits.sample)
        if rollout is None or not isinstance(training.actions, Discrete):
            return None
        actions = rollout.actions.astype(np.int64).ravel()
        self._top = float(np.bincount(actions).max() / len(actions))
        counts = np.full(1, training.actions.n)
        if isinstance(rollout.observations, dict) and "mask" in rollout.observations:
            counts = np.maximum(rollout.observations["mask"].sum(axis=-1), 1)
        self._uniform = float(np.log(counts).mean())
        return None

    def update(self, training: Training) -> Stop:
        """Record the signs of the update, and see which of them trip."""
        for name, value in self._texts.items():
            if name != "information":
                training.record(f"written/{name}", value)
        for name, value in self._signs(training.row).items():
            training.record(f"collapse/{name}", value)
            limit = getattr(self.limits, name)
            if name == "gradient":
                usual = statistics.median(self._before) if len(self._before) >= 5 else math.inf
                self._before.append(value)
                limit = None if limit is None else limit * usual
            floor = {"value": 0.0, "information": self.limits.information}.get(name)
            if floor is not None and name not in self._has_been_above:
                # Before the critic has met rewards its numbers say nothing: there is no fall yet.
                self._has_been_above |= {name} if value > floor else set()
                continue
            if limit is None:
                continue
            is_beyond = value < limit if name in IS_LEAST else value > limit
            self._beyond[name] = self._beyond[name] + 1 if is_beyond else 0
            if self._beyond[name] >= self.limits.patience and name not in self.tripped:
                self.tripped.append(name)
                self.warn(
                    f"after {training.steps} steps, {name} has been {value:.3g}, beyond "
                    f"{limit:.3g}, for {self.limits.patience} updates\n  Cure: {CURES[name]}"
                )
        return self.limits.stop and bool(self.tripped)

    def _signs(self, row: Mapping[str, Any]) -> dict[str, float]:
        result: dict[str, float] = {}
        if self._uniform > 0 and "train/entropy_loss" in row:
            result["entropy"] = -float(row["train/entropy_loss"]) / self._uniform
        if self._top is not None:
            result["top_action"] = self._top
        if "train/explained_variance" in row:
            result["value"] = float(row["train/explained_variance"])
        lengths = self._gradients.drain()
        if lengths:
            result["gradient"] = statistics.fmean(lengths)
        if "train/approx_kl" in row:
            result["drift"] = float(row["train/approx_kl"])
        if "information" in self._texts:
            result["information"] = self._texts["information"]
        if "tokens" in self._texts:
            self._lengths = [*self._lengths, self._texts["tokens"]][:FIRST]
            usual = statistics.fmean(self._lengths)
            result["length"] = math.exp(abs(math.log(self._texts["tokens"] / usual)))
        if self._invalid:
            result["invalid"] = statistics.fmean(self._invalid)
            self._invalid = []
        # The returns of a rollout may have no variance to explain.
        return {name: value for name, value in result.items() if not math.isnan(value)}
