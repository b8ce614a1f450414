"""Graphs with a stand-in for the GPU that makes them."""

from __future__ import annotations

import logging

import pytest
import torch

from dragoman.models import graphs
from dragoman.models.graphs import USES, Graph, Graphs


class Gpu:
    """Runs a forward again where a GPU would replay it."""

    def __init__(self, size: int = 1) -> None:
        self.size = size
        self.captured: list[int] = []
        self.replays = 0
        self.off = 0
        self.error: Exception | None = None

    def capture(self, forward, numbers) -> tuple[Graph, torch.Tensor]:
        if self.error:
            raise self.error
        fixed = numbers.clone()
        result = forward(fixed)
        self.captured.append(len(numbers))

        def replay() -> None:
            self.replays += 1
            result.copy_(forward(fixed))

        return Graph(forward, fixed, result, replay, self.size), result + self.off


def run(own: Graphs, numbers: torch.Tensor, version: object = 0) -> list[int]:
    def eager(given):
        return given * 2

    def fixed(given):
        return given * 2 + 0

    return own.run(len(numbers), version, eager, fixed, numbers).tolist()


def test_a_shape_that_comes_often_is_replayed_with_new_numbers() -> None:
    gpu = Gpu()
    own = Graphs(gpu.capture, 100)
    for turn in range(6):
        assert run(own, torch.tensor([turn, 1])) == [2 * turn, 2]
        assert gpu.replays == max(turn + 2 - USES, 0) * (turn >= USES)
    assert gpu.captured == [2]
    assert run(own, torch.tensor([5])) == [10]  # another shape
    assert gpu.captured == [2]


def test_a_graph_that_gives_something_else_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    gpu = Gpu()
    gpu.off = 1  # as where nothing was captured
    own = Graphs(gpu.capture, 100)
    with caplog.at_level(logging.WARNING):
        for turn in range(USES + 3):
            assert run(own, torch.tensor([3 + turn])) == [6 + 2 * turn]
    assert [item.getMessage() for item in caplog.records] == [
        "no CUDA graphs for this model: repeated, a forward gives another result"
    ]
    assert gpu.replays == 1


def test_graphs_are_dropped_when_weights_move() -> None:
    gpu = Gpu()
    own = Graphs(gpu.capture, 100)
    for version in (0, 1):
        for _ in range(USES + 1):
            run(own, torch.tensor([1]), version)
    assert gpu.captured == [1, 1]


@pytest.mark.parametrize(("size", "most"), [(1, 3), (40, 2)])
def test_number_and_memory_are_bounded(
    size: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs, "MOST_GRAPHS", 3)
    gpu = Gpu(size)
    own = Graphs(gpu.capture, 100)
    for length in (1, 2, 3, 4):
        for _ in range(USES + 1):
            run(own, torch.zeros(length))
        assert len(own._known) == min(length, most)
    # The one used last is there, the first is made again.
    assert gpu.captured == [1, 2, 3, 4]
    run(own, torch.zeros(4))
    assert gpu.captured == [1, 2, 3, 4]
    for _ in range(USES + 1):
        run(own, torch.zeros(1))
    assert gpu.captured == [1, 2, 3, 4, 1]


def test_a_forward_without_graphs_runs_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    gpu = Gpu()
    gpu.error = RuntimeError("operation not permitted when stream is capturing\nmore")
    own = Graphs(gpu.capture, 100)
    with caplog.at_level(logging.WARNING):
        for _ in range(6):
            assert run(own, torch.tensor([3])) == [6]
    assert [item.getMessage() for item in caplog.records] == [
        "no CUDA graphs for this model: operation not permitted when stream is capturing"
    ]


def test_without_memory_for_a_graph_all_are_dropped() -> None:
    gpu = Gpu()
    own = Graphs(gpu.capture, 100)
    for _ in range(USES + 1):
        run(own, torch.tensor([1]))
    gpu.error = torch.cuda.OutOfMemoryError("full")
    for _ in range(USES):
        run(own, torch.zeros(2))
    with pytest.raises(torch.cuda.OutOfMemoryError):
        run(own, torch.zeros(2))
    gpu.error = None
    replays = gpu.replays
    run(own, torch.tensor([1]))
    assert gpu.replays == replays
