"""What every engine sees to where rewards train the model itself."""

from __future__ import annotations

import torch
from torch import Tensor

from dragoman.errors import DragomanError
from dragoman.roles.act.readers import TunedReader

RATIO_TOLERANCE = 1e-4
"""In float32; in bfloat16 a log-prob has three digits, so that only gross errors show."""

COARSE_TOLERANCE = 0.2
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
    ratios = torch.exp(log_probs.detach().cpu() - old_log_probs.cpu())
    furthest = float(ratios[(ratios - 1).abs().argmax()])
    is_exact = reader.model.inner.dtype == torch.float32
    tolerance = RATIO_TOLERANCE if is_exact else COARSE_TOLERANCE
    if not abs(furthest - 1) <= tolerance:
        raise RatioError(
            f"a probability is {furthest:.6f} times that of the rollout before any "
            f"step of the update, which is more than {tolerance} from 1",
            cure="look for what differs between rollout and update, such as dropout; "
            "act.tune.check_ratio: false goes on regardless",
        )
    return furthest


def make_room(reader: TunedReader, keep_bytes: int) -> None:
    """Forget what the frozen blocks made of older texts, where half of the room is taken."""
    trunk = reader.model.trunk
    if trunk is not None and trunk.kept_bytes > keep_bytes / 2:
        trunk.clear()
