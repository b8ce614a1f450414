from __future__ import annotations

import json
import random
from collections import Counter, OrderedDict, deque
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from dragoman.engines.optimizer import Masters
from dragoman.engines.state import Random, given, taken
from dragoman.maths.moments import Moments


class Own:
    """An object with a state of its own."""

    resumes = ("count", "inner.values", "nothing")

    def __init__(self) -> None:
        self.count = 0
        self.inner = Inner()
        self.nothing = None
        self.of_the_episode = [1]


class Inner:
    def __init__(self) -> None:
        self.values: list[float] = []


def moved(value: Any) -> Any:
    """Return what a value is after it was kept and read."""
    arrays: list[Any] = []

    def named(array: Any) -> dict[str, int]:
        arrays.append(array)
        return {"array": len(arrays) - 1}

    text = json.dumps(taken(value), default=named)
    return json.loads(
        text, object_hook=lambda data: arrays[data["array"]] if data.keys() == {"array"} else data
    )


@pytest.mark.parametrize(
    ("value", "like"),
    [
        (deque([1.5, 2.0], maxlen=4), deque(maxlen=4)),
        ({3, 1}, set()),
        (Counter({7: 2, 9: 1}), Counter()),
        (OrderedDict(b=1.0, a=2.0), OrderedDict()),
        ({"a": (1, None), "b": []}, {}),
        ([{"x": 1}], []),
        (np.float32(0.1), 0.0),
        (Moments(3, np.array([0.5]), np.array([2.0])), Moments.empty(1)),
    ],
)
def test_a_value_is_the_same_again(value: Any, like: Any) -> None:
    result = given(like, moved(value))
    if isinstance(value, Moments):
        assert (result.count, result.mean.tolist(), result.squares.tolist()) == (3, [0.5], [2.0])
        return
    assert type(result) is type(like)
    assert result == (json.loads(json.dumps(value)) if type(value) is dict else value)
    assert getattr(result, "maxlen", None) == getattr(like, "maxlen", None)
    assert list(result) == list(value) if isinstance(value, OrderedDict) else True


def test_objects_keep_what_they_name_and_stay_themselves() -> None:
    one, other = Own(), Own()
    one.count, one.inner.values, one.of_the_episode = 5, [0.1], [9]
    inner = other.inner
    assert given(other, moved(one)) is other
    assert (other.count, other.inner.values, other.of_the_episode) == (5, [0.1], [1])
    assert other.inner is inner


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(TypeError, match="Inner has no attribute 'resumes'"):
        taken({"a": Inner()})


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_optimisers_go_on_as_they_would_have(dtype: torch.dtype) -> None:
    def made() -> tuple[torch.nn.Linear, torch.optim.Optimizer]:
        torch.manual_seed(0)
        net = torch.nn.Linear(3, 2).to(dtype)
        groups = [{"params": [net.weight]}, {"params": [net.bias]}]
        return net, Masters(groups, torch.optim.Adam, lr=1e-3)

    def step(net: torch.nn.Linear, optimiser: torch.optim.Optimizer, number: int) -> None:
        optimiser.zero_grad()
        net(torch.full((1, 3), float(number), dtype=dtype)).square().sum().backward()
        optimiser.step()

    (one, first), (other, second) = made(), made()
    for number in range(3):
        step(one, first, number)
    first.param_groups[1]["lr"] = 0.5
    bias = other.bias
    given(other, moved(one))
    given(second, moved(first))
    assert other.bias is bias
    for number in range(3):
        step(one, first, number)
        step(other, second, number)
    assert torch.equal(one.weight, other.weight)
    assert torch.equal(one.bias, other.bias)


def test_random_numbers_go_on_as_they_would_have() -> None:
    space, generator = gym.spaces.Discrete(1000, seed=1), np.random.default_rng(3)
    whole = {"process": Random(), "space": space, "generator": generator}
    kept = moved(whole)

    def draw() -> list[float]:
        return [
            random.random(),
            random.gauss(),
            np.random.rand(),  # noqa: NPY002
            np.random.randn(),  # noqa: NPY002
            float(torch.rand(())),
            int(space.sample()),
            generator.random(),
        ]

    expected = [draw(), draw()]
    assert draw() != expected[0]
    given(whole, kept)
    assert [draw(), draw()] == expected
