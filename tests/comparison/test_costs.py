from __future__ import annotations

import math

import pytest

from dragoman.comparison.costs import costs_over


def cost(**values: float) -> dict[str, float]:
    zero = dict.fromkeys(
        ("steps", "tokens", "texts", "texts_remembered", "texts_from_disk", "seconds",
         "model_seconds", "gigaflops"), 0.0,
    )  # fmt: skip
    return {**zero, **values}


def test_an_empty_cache_costs_what_the_disk_has_saved() -> None:
    cold = cost(texts=100, texts_remembered=80, tokens=200, gigaflops=10, model_seconds=2)
    # It found all that the first had computed.
    warm = cost(texts=100, texts_remembered=100, texts_from_disk=20)
    means = costs_over({0: cold, 1: warm})["mean_costs"]
    assert means["tokens"] == 100
    assert means["cold_tokens"] == 200
    assert means["cold_gigaflops"] == 10
    assert means["cold_model_seconds"] == 2


@pytest.mark.parametrize(
    "row",
    [
        cost(texts=10, texts_remembered=10, texts_from_disk=10),
        cost(texts=10, texts_remembered=2, texts_from_disk=math.nan, tokens=5),
    ],
    ids=["all were there", "not noted"],
)
def test_what_an_empty_cache_costs_may_be_unknown(row: dict[str, float]) -> None:
    assert costs_over({0: row})["mean_costs"]["cold_tokens"] is None


def test_no_model_costs_nothing() -> None:
    means = costs_over({0: cost(steps=10, seconds=3)})["mean_costs"]
    assert (means["steps"], means["seconds"], means["tokens"]) == (10, 3, None)
    assert costs_over({})["mean_costs"]["steps"] is None
