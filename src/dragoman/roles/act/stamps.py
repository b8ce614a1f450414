"""What is kept with each row that a server has written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dragoman.generation import Generation, ServedText


class ServerWarning(UserWarning):
    """A server that writes does not do what was expected, and the training goes on."""


@dataclass(frozen=True)
class Stamps:
    """What is kept with each row that a server has written.

    Attributes:
        versions: Which version of the adapters wrote it, ``(B,)``.
        gaps: How far the server's log-probs of its tokens are from those of the model here, in
            nats: the mean distance, ``(B,)``.
    """

    versions: NDArray[np.int64]
    gaps: NDArray[np.float32]


def stamps_of(written: Sequence[tuple[Generation, ...]], ids: Tensor, log_probs: Tensor) -> Stamps:
    """Return the stamps of rows.

    Args:
        written: What the server wrote, see `WrittenPolicy.last`.
        ids: The same as token ids ``(B, L)``, -1 where there is none.
        log_probs: What the model here says of them ``(B, L)``.
    """
    versions, gaps = [], []
    for texts, is_token, ours in zip(written, (ids >= 0).cpu(), log_probs.cpu(), strict=True):
        versions.append(min(text.version for text in texts if isinstance(text, ServedText)))
        theirs = np.concatenate([text.log_probs for text in texts])
        gaps.append(np.abs(theirs - ours[is_token].numpy()).mean())
    return Stamps(np.array(versions, np.int64), np.array(gaps, np.float32))
