from __future__ import annotations

import numpy as np
import pytest

from dragoman.errors import BudgetError, ConfigError, ModelError, RewardError
from dragoman.roles.reward.call import Caller

TEXTS = ["a", "bb", "the bad text", "dddd"]


def raising(texts):
    if "the bad text" in texts:
        raise ValueError("no reward for this")
    return [len(text) for text in texts]


def lengths_but(value):
    return lambda texts: [value if text == "the bad text" else len(text) for text in texts]


BAD = {
    "raises": (raising, r"'it' raised ValueError: no reward for this for the text 'the bad text'"),
    "nan": (lengths_but(float("nan")), r"'it' gave nan for the text 'the bad text'"),
    "infinite": (lengths_but(-np.inf), r"'it' gave -inf for the text 'the bad text'"),
}
WHOLE = {
    "shape": (lambda texts: [1.0], r"shape \(1,\) instead of \(4,\), one number a text, for .*'a'"),
    "matrix": (lambda texts: np.ones((4, 1)), r"shape \(4, 1\)"),
    "one number": (lambda texts: 1.0, r"shape \(\) instead of \(4,\)"),
    "string": (lambda texts: "high", r"gave 'high', which is no number, for the text 'a'"),
    "strings": (lambda texts: ["1"] * 4, r"gave \['1', '1', '1', '1'\], which is no number"),
    "ragged": (lambda texts: [1.0, [2.0], 3.0, 4.0], r"gave what is no array"),
    "nothing": (lambda texts: None, r"gave None, which is no number"),
    "complex": (lambda texts: np.ones(4) * 1j, r"which is no number"),
}


@pytest.mark.parametrize("name", [*BAD, *WHOLE])
def test_a_bad_reward_stops_with_its_name_and_the_text(name: str) -> None:
    function, message = (BAD | WHOLE)[name]
    with pytest.raises(RewardError, match=message) as raised:
        Caller.of("it", function)({"texts": TEXTS}, 4)
    assert "on_error" in raised.value.cure


@pytest.mark.parametrize("name", BAD)
def test_skipping_costs_only_the_text_that_failed(name: str) -> None:
    values, is_failed = Caller.of("it", BAD[name][0])({"texts": TEXTS}, 4, "skip")
    assert values.tolist() == [1.0, 2.0, 0.0, 4.0]
    assert is_failed.tolist() == [False, False, True, False]


@pytest.mark.parametrize("name", WHOLE)
def test_skipping_a_whole_batch(name: str) -> None:
    values, is_failed = Caller.of("it", WHOLE[name][0])({"texts": TEXTS}, 4, "skip")
    assert values.tolist() == [0.0] * 4
    assert is_failed.all()


def test_a_server_that_fails_is_not_asked_again_for_each_text() -> None:
    calls = []

    def down(texts, model):
        calls.append(texts)
        raise ModelError("the server is down", cure="start it")

    given = {"texts": TEXTS, "model": None}
    _, is_failed = Caller.of("it", down)(given, 4, "skip")
    assert is_failed.all()
    assert len(calls) == 1
    with pytest.raises(RewardError, match="raised ModelError: the server is down for the text 'a'"):
        Caller.of("it", down)(given, 4)


def test_a_reward_takes_what_it_names() -> None:
    def every(observations, previous, *, scale=2.0):
        return [scale * observation for observation in observations]

    caller = Caller.of("it", every)
    assert caller.takes == {"observations", "previous"}
    assert not caller.is_potential
    given = {"observations": [1, 2], "previous": ["", ""], "texts": ["", ""]}
    assert caller(given, 2)[0].tolist() == [2.0, 4.0]
    with pytest.raises(ConfigError, match=r"takes 'text' \(did you mean 'texts'\?\)"):
        Caller.of("it", lambda text: [0.0])


def test_numbers_of_any_kind_are_taken() -> None:
    import torch

    for found in ([True, False], np.array([1, 0]), torch.tensor([1.0, 0.0]), (1, 0)):
        values, _ = Caller.of("it", lambda texts, found=found: found)({"texts": ["a", "b"]}, 2)
        assert values.tolist() == [1.0, 0.0]


def test_ctrl_c_is_no_failure_of_the_reward() -> None:
    def stopped(texts):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Caller.of("it", stopped)({"texts": TEXTS}, 4, "skip")


@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_a_budget_that_is_used_up_is_never_skipped(on_error) -> None:
    def spent(texts):
        raise BudgetError("the budget is used up", cure="raise it")

    with pytest.raises(BudgetError, match="used up"):
        Caller.of("spent", spent)({"texts": ["a", "b"]}, 2, on_error)
