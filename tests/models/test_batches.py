from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dragoman.models.batches import pad_right, plan_batches


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
