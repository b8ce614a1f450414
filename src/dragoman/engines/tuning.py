"""What every engine sees to where rewards train the model itself."""

from __future__ import annotations

import torch
from torch import Tensor

from dragoman.errors import DragomanError
from dragoman.roles.act.readers import TunedReader

RATIO_TOLERANCE = 1e-4
"""How far from 1 a ratio may be in float32."""

COARSE_TOLERANCE = 0.2
"""Largest root mean square of the ratios' logarithms in sixteen bits. There only gross errors show:
most log-probs of a written text are the same, and one of 64 is a quarter off."""

CHECKED = 64
"""Most observations whose ratio is looked at before an update."""


class RatioError(DragomanError):
    """Old and new probabilities differ before anything was trained."""


def first_ratio(reader: TunedReader, log_probs: Tensor, old_log_probs: Tensor) -> float:
    """Return the ratio of new to old probability that is furthest from 1, before any step.

    Args:
        reader: What reads with the model that is trained.
        log_probs: ``(B,)`` as the update computes them.
        old_log_probs: ``(B,)`` as the rollout did.

    Raises:
        RatioError: It is not 1.
    """
    logs = log_probs.detach().cpu() - old_log_probs.cpu()
    furthest = float(logs[logs.abs().argmax()].exp())
    if reader.model.inner.dtype == torch.float32:
        what, off, tolerance = "that is from 1", abs(furthest - 1), RATIO_TOLERANCE
    else:
        what, tolerance = "the root mean square of all logarithms is", COARSE_TOLERANCE
        off = float(logs.square().mean().sqrt())
    if not off <= tolerance:
        raise RatioError(
            f"a probability is {furthest:.6f} times that of the rollout before any step of the "
            f"update; {what} {off:.6f}, more than {tolerance}",
            cure="look for what differs between rollout and update, such as dropout; "
            "act.tune.check_ratio: false goes on regardless",
        )
    return furthest


def make_room(reader: TunedReader, keep_bytes: int) -> None:
    """Forget what the frozen blocks made of older texts, where half of the room is taken."""
    trunk = reader.model.trunk
    if trunk is not None and trunk.kept_bytes > keep_bytes / 2:
        trunk.clear()
