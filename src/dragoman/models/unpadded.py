"""Reading rows without padding, where the device and the architecture allow it."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from dragoman.models.attention import KeysValues, Segments
from dragoman.models.device import bring
from dragoman.models.graphs import MOST_GRAPHS, Graphs, cuda_graphs
from dragoman.models.packed import Ints, Shape, pack
from dragoman.models.rows import Row

if TYPE_CHECKING:
    from dragoman.models.stack import Stack

log = logging.getLogger(__name__)

DEVICES = ("cuda",)
"""Devices whose attention over segments pays. On a processor padding costs no more."""


class Unpadded:
    """Reads rows behind each other, as one row.

    Args:
        stack: The blocks of a model.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._said = False
        self._compiled: Any = None

    def reads(self, length: int) -> bool:
        """Return whether rows up to this length can be read so; tried once a length."""
        if self._stack.device.type not in DEVICES:
            return False
        holds = self._stack.is_causal and self._stack.trials.unpads(length)
        if not holds and not self._said:
            self._said = True
            name, dtype = self._stack.name, self._stack.dtype
            log.warning("%s in %s is read with padding, which takes longer", name, dtype)
        return holds

    def run(
        self, rows: Sequence[Row], depth: int | None = None, head: KeysValues | None = None
    ) -> tuple[Tensor, Ints]:
        """Return hidden states after ``depth`` blocks, without gradients.

        Args:
            rows: At least one, without the shared head.
            depth: Number of blocks to run; all of them by default.
            head: Keys and values of the shared head, of one row.

        Returns:
            Hidden states ``(T, H)`` in the model's precision, to be read before the next call,
            and where each row begins and the last ends ``(B + 1,)``.
        """
        shared = head[0][0].shape[2] if head else 0
        packed = pack(rows, shared)
        numbers = bring(packed.flat, self._stack.device)
        forward = functools.partial(self._forward, packed.shape, head, depth)
        with torch.inference_mode():
            if self._graphs is None:
                return forward(numbers), packed.starts
            # Heads of one length that are cut from one lie at one place.
            key = (packed.shape, depth, shared, head[0][0].data_ptr() if head else 0)
            version = self._stack.weights.place()
            body = self._compiled if depth in (None, self._stack.num_layers) else None
            often = functools.partial(forward, body=body)
            hidden = self._graphs.run(key, version, forward, often, numbers)
            return hidden, packed.starts

    def run_above(self, rows: Sequence[Row], below: int, hidden: Tensor | None) -> Tensor:
        """Return hidden states ``(T, H)`` at full depth, with gradients where they are on.

        Args:
            rows: At least one.
            below: Number of blocks that have been run.
            hidden: What they have made, ``(T, H)``; None runs them.
        """
        packed = pack(rows, rounded=False)
        numbers = bring(packed.flat, self._stack.device)
        above = None if hidden is None else (below, hidden.unsqueeze(0))
        return self._forward(packed.shape, None, None, numbers, above=above)

    def compile(self) -> None:
        """Compile the whole model, once a shape, when that has come often enough for a graph."""
        dynamo: Any = torch._dynamo
        dynamo.config.recompile_limit = max(dynamo.config.recompile_limit, MOST_GRAPHS)
        self._compiled = torch.compile(self._stack.module, dynamic=False, fullgraph=True)

    def forget(self) -> None:
        """Drop what was made for shapes that came often."""
        if self._graphs is not None:
            self._graphs.clear()

    @functools.cached_property
    def _graphs(self) -> Graphs | None:
        device = self._stack.device
        return cuda_graphs(device) if device.type == "cuda" else None

    def _forward(
        self,
        shape: Shape,
        head: KeysValues | None,
        depth: int | None,
        flat: Tensor,
        *,
        above: tuple[int, Tensor] | None = None,
        body: Any = None,
    ) -> Tensor:
        numbers = shape.cut(flat)
        return self._stack.run(
            numbers.ids.unsqueeze(0),
            depth=depth,
            positions=numbers.positions.unsqueeze(0),
            above=above,
            segments=Segments(numbers, shape, head),
            body=body,
        )[0]
