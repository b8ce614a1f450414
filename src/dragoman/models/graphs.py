"""Forwards that a GPU has been shown once, and repeats without being told each kernel again.

A forward of a small model is some hundred kernels that take less time than launching them. A CUDA
graph launches them all at once, for one shape of the input. It reads its input and the weights
where they lay when it was made: weights that are written in place may change, others may not.
"""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from dragoman.models.probe import same

log = logging.getLogger(__name__)

MOST_GRAPHS = 32
"""Graphs kept at a time; the one unused longest is dropped."""

MEMORY_SHARE = 0.2
"""Share of the device's memory that graphs may hold."""

USES = 2
"""So many inputs of a shape come before it is worth a graph, which takes some forwards to make."""

Forward: TypeAlias = Callable[[Tensor], Tensor]
Capture: TypeAlias = "Callable[[Forward, Tensor], tuple[Graph, Tensor]]"
"""Makes a graph of a forward and an input, and returns what the forward gave of that, too."""


@dataclass(frozen=True)
class Graph:
    """A forward that can be repeated.

    Attributes:
        forward: What it repeats, held since it reads other tensors where they lay, too.
        numbers: Where it reads its input.
        result: Where it leaves its result, until it is repeated.
        replay: Repeats it.
        size: Bytes of the device that it holds.
    """

    forward: Forward
    numbers: Tensor
    result: Tensor
    replay: Callable[[], None]
    size: int


class Graphs:
    """The graphs of one model.

    Args:
        capture: Makes a graph of a forward and an input on the device.
        budget_bytes: Most bytes that they may hold together.
    """

    def __init__(self, capture: Capture, budget_bytes: int) -> None:
        self._capture = capture
        self._budget_bytes = budget_bytes
        self._known: OrderedDict[Hashable, Graph] = OrderedDict()
        self._uses: Counter[Hashable] = Counter()
        self._version: Hashable = None
        self._able = True

    def run(
        self, key: Hashable, version: Hashable, eager: Forward, fixed: Forward, numbers: Tensor
    ) -> Tensor:
        """Return what a forward makes of an input, by a graph where its shape comes often.

        Args:
            key: What the forward is beside its input: shapes, depth, what else it reads.
            version: Where the weights lie; when that changes, all graphs are dropped.
            eager: The forward.
            fixed: The same for a shape that comes often, maybe compiled.
            numbers: The input, on the host or the device.

        Returns:
            The result, to be read before the next call.
        """
        if version != self._version:
            self.clear()
            self._version = version
        graph = self._known.get(key)
        if graph is None:
            self._uses[key] += 1
            if self._able and self._uses[key] > USES:
                graph = self._make(key, fixed, numbers)
        if graph is None:
            return eager(numbers)
        self._known.move_to_end(key)
        graph.numbers.copy_(numbers, non_blocking=True)
        graph.replay()
        return graph.result

    def clear(self) -> None:
        """Drop all graphs."""
        self._known.clear()
        self._uses.clear()

    def _make(self, key: Hashable, forward: Forward, numbers: Tensor) -> Graph | None:
        try:
            graph, shown = self._capture(forward, numbers)
            graph.replay()
            if not same(graph.result, shown):
                raise RuntimeError("repeated, a forward gives another result")
        except torch.cuda.OutOfMemoryError:
            self.clear()
            raise
        except RuntimeError as error:
            # Of a forward that asks the device for a number, say. Any other is as good, slower.
            log.warning("no CUDA graphs for this model: %s", str(error).split("\n")[0])
            self._able = False
            return None
        self._known[key] = graph
        del self._uses[key]
        while len(self._known) > 1 and (
            len(self._known) > MOST_GRAPHS
            or sum(one.size for one in self._known.values()) > self._budget_bytes
        ):
            self._known.popitem(last=False)
        return graph


def cuda_graphs(device: torch.device) -> Graphs:
    """Return graphs for a GPU, which share the memory of what lies between input and result."""
    pool = torch.cuda.graph_pool_handle()
    stream: Any = torch.cuda.Stream  # which has no types
    # One for all: handles of libraries are made on first use in a stream, and memory is reused
    # within one.
    aside = stream(device)

    def capture(forward: Forward, numbers: Tensor) -> tuple[Graph, Tensor]:
        before = torch.cuda.memory_reserved(device)
        fixed = numbers.to(device).clone()
        # Of other devices nothing would be captured.
        with torch.cuda.device(device):
            aside.wait_stream(torch.cuda.current_stream(device))
            with torch.cuda.stream(aside):
                shown = forward(fixed)  # what is made on first use must not be made inside
            torch.cuda.current_stream(device).wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            # Other threads may go on with what would end a capture, such as pinning memory.
            with torch.cuda.graph(
                graph, pool=pool, stream=aside, capture_error_mode="thread_local"
            ):
                result = forward(fixed)
        size = torch.cuda.memory_reserved(device) - before
        return Graph(forward, fixed, result, graph.replay, size), shown

    total = torch.cuda.get_device_properties(device).total_memory
    return Graphs(capture, int(MEMORY_SHARE * total))
