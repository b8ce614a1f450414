import logging
from functools import partial
from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dragoman.models.batches import Batcher, equal_batches, full_batches, pad_right, plan_batches
from dragoman.models.meter import FlopRates, Meter


def cost(batches: list[list[int]], lengths: list[int], overhead: int) -> int:
    return sum(len(b) * max(max(lengths[row] for row in b), 1) + overhead for b in batches)


@given(st.lists(st.integers(0, 60), max_size=40), st.integers(1, 200), st.integers(0, 50))
def test_every_row_stands_in_one_batch_within_the_budget(lengths, budget, overhead) -> None:
    batches = plan_batches(lengths, budget=budget, overhead=overhead)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= budget


@given(st.lists(st.integers(1, 30), min_size=1, max_size=7), st.integers(0, 40))
def test_no_other_cut_is_cheaper(lengths, overhead) -> None:
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    places = range(1, len(order))
    cheapest = min(
        cost(
            [order[a:b] for a, b in zip((0, *cuts), (*cuts, len(order)), strict=True)],
            lengths,
            overhead,
        )
        for k in range(len(order))
        for cuts in combinations(places, k)
    )
    assert cost(plan_batches(lengths, overhead=overhead), lengths, overhead) == cheapest


@pytest.mark.parametrize(("overhead", "batches"), [(0, 2), (10, 2), (10_000, 1)])
def test_a_dear_forward_makes_large_batches(overhead: int, batches: int) -> None:
    assert len(plan_batches([3, 100, 3, 3], overhead=overhead)) == batches


def test_padding_stands_on_the_right_and_is_known_by_place() -> None:
    ids, is_real = pad_right([[5], [0, 7, 0]])
    assert torch.equal(ids, torch.tensor([[5, 0, 0], [0, 7, 0]]))
    assert torch.equal(is_real, torch.tensor([[True, False, False], [True, True, True]]))


class Device:
    """Reads batches that fit, and runs out of memory at others."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.sizes: list[int] = []

    def read(self, lengths: list[int], batch: list[int]) -> list[int]:
        size = sum(lengths[i] for i in batch)
        self.sizes.append(size)
        if size > self.room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return [lengths[i] for i in batch]


@pytest.mark.parametrize("cut", [plan_batches, equal_batches, full_batches])
def test_where_memory_runs_out_batches_are_halved_and_all_is_read(
    cut, caplog: pytest.LogCaptureFixture
) -> None:
    meter = Meter(FlopRates(1, 1.0, 1.0, 1.0))
    batcher, device, lengths = Batcher(meter, budget=64), Device(20), [3, 8, 8, 3, 8, 3, 8, 8] * 3
    with caplog.at_level(logging.WARNING):
        answers = dict.fromkeys(range(len(lengths)), 0)
        for batch, read in batcher.each(lengths, cut, partial(device.read, lengths)):
            answers.update(zip(batch, read, strict=True))
    assert list(answers.values()) == lengths
    assert meter.cost.out_of_memory == sum(size > 20 for size in device.sizes) > 0
    assert batcher.budget <= 32
    assert len(caplog.records) == 1  # said once, counted every time
    # What was learned is kept.
    more = len(device.sizes)
    for _ in batcher.each(lengths, cut, partial(device.read, lengths)):
        pass
    assert max(device.sizes[more:]) <= 20


def test_a_row_that_does_not_fit_alone_is_an_error() -> None:
    batcher = Batcher(Meter(FlopRates(1, 1.0, 1.0, 1.0)))
    with pytest.raises(torch.cuda.OutOfMemoryError):
        list(batcher.each([30, 5], full_batches, partial(Device(20).read, [30, 5])))


@given(st.lists(st.integers(0, 60), max_size=40), st.integers(1, 200))
def test_full_batches_keep_the_order_and_the_budget(lengths, budget) -> None:
    batches = full_batches(lengths, budget=budget)
    assert [row for batch in batches for row in batch] == list(range(len(lengths)))
    sums = [sum(lengths[row] for row in batch) for batch in batches]
    assert all(size <= budget or len(batch) == 1 for size, batch in zip(sums, batches, strict=True))
    # None could take the first row of the next.
    following = [lengths[batch[0]] for batch in batches[1:]]
    assert all(size + more > budget for size, more in zip(sums, following, strict=False))
