"""DQN's first action values, fitted to what a language model thinks of the actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dragoman.describe.moment import Moment
from dragoman.describe.rollout import sample_moments
from dragoman.engines.assembly import spec_of
from dragoman.engines.policies.features import stack as stacked
from dragoman.engines.stack import RoleStack
from dragoman.environments import make_environment
from dragoman.environments.vector import rows_of
from dragoman.experiment import Experiment
from dragoman.maths.seeds import derive_seed
from dragoman.roles.explore.guide import Guide, GuideVector
from dragoman.types import BoolArray, FloatArray

SAMPLED_STEPS = 1024
"""Most steps of random play whose states the values are fitted on."""
UPDATES = 1000
BATCH = 128
RATE = 1e-3


def begin_with_prior(
    network: nn.Module, see: Callable[[Any], Any], experiment: Experiment, stack: RoleStack
) -> None:
    """Fit the values of a new DQN to c (log p(a|s) - its mean over the valid actions).

    The states are those of random play, and none of the training's steps. The share of the
    targets' variance that the fit explains becomes the column ``guide/fit``.

    Args:
        network: What makes action values, before the first step.
        see: Turns observations of an environment into what the network reads.
        experiment: With a guide of values.
        stack: The roles around its environment.
    """
    guide, context = experiment.guide, stack.context
    assert guide is not None
    assert context is not None
    env = make_environment(spec_of(experiment), experiment.env_settings)
    steps = min(SAMPLED_STEPS, experiment.steps)
    seed = derive_seed("initial values", context.seed)
    moments = list(sample_moments(env, context.moments, seed, steps))
    prior = guide.action_prior(stack.env.single_action_space, context.models)
    valid = np.stack([moment.valid for moment in moments])
    targets = targets_of(guide, prior(moments), valid)
    fit = _fit(network, see(observed(stack, moments)), torch.as_tensor(targets), seed)
    guide_of(stack).columns["guide/fit"] = fit


def guide_of(stack: RoleStack) -> GuideVector:
    """Return the guide role at work."""
    role = stack.roles["guide"]
    assert isinstance(role, GuideVector)
    return role


def targets_of(guide: Guide, log_probs: FloatArray, valid: BoolArray) -> FloatArray:
    """Return the first values of all actions, float32 ``(B, K)``.

    Actions that are not valid get the lowest value of those that are.

    Args:
        guide: With the factor c.
        log_probs: ``(B, K)``.
        valid: Which actions are valid, bool ``(B, K)``.
    """
    counts = np.maximum(valid.sum(axis=1, keepdims=True), 1)
    centred = log_probs - (log_probs * valid).sum(axis=1, keepdims=True) / counts
    lowest = np.where(valid, centred, np.inf).min(axis=1, keepdims=True)
    lowest[~np.isfinite(lowest)] = 0.0
    result: FloatArray = guide.weight_at(0) * np.where(valid, centred, lowest)
    return result.astype(np.float32)


def observed(stack: RoleStack, moments: Sequence[Moment]) -> Any:
    """Return what a policy is given of moments: an array, or a dictionary of arrays."""
    if stack.observer is not None:
        return stack.observer(list(moments))
    space = stack.env.single_observation_space
    return stacked(space, [moment.observation for moment in moments])


def _fit(network: nn.Module, seen: Any, targets: Tensor, seed: int) -> float:
    """Fit the network, and return the explained share of the targets' variance."""
    generator = np.random.default_rng(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    for _ in range(UPDATES):
        rows: Any = torch.as_tensor(generator.integers(len(targets), size=min(BATCH, len(targets))))
        loss = ((network(rows_of(seen, rows)) - targets[rows]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        rest = float(((network(seen) - targets) ** 2).mean())
    spread = float(((targets - targets.mean()) ** 2).mean())
    return 1.0 - rest / spread if spread > 0 else 1.0
