"""One term at work: what it remembers of states, and what of failures."""

from __future__ import annotations

import numpy as np
import pytest

from dragoman.describe.moment import Moment
from dragoman.errors import ModelError, RewardError
from dragoman.roles.reward.call import Caller
from dragoman.roles.reward.settings import Term
from dragoman.roles.reward.term import RunningTerm, Steps
from tests.moments import moments

GAMMA = 0.9


class Unsteady:
    """Worth the text's number, but out of order at some calls."""

    takes = frozenset({"texts"})

    def __init__(self, *broken: int) -> None:
        self.broken = broken
        self.asked: list[list[str]] = []

    def __call__(self, texts):
        self.asked.append(list(texts))
        if len(self.asked) - 1 in self.broken:
            # As from a server that is down: nobody asks it text by text.
            raise ModelError("the server is down", cure="wait")
        return [float(text) for text in texts]


def make(reward: Unsteady, **settings) -> RunningTerm:
    term = Term("my.py:own", on_error="skip", **settings)
    return RunningTerm("own", term, Caller.of("own", reward), None, 1, GAMMA)


def states(*observations: int) -> list[Moment]:
    return moments(observations)


def begin(term: RunningTerm, first: int) -> None:
    none = np.zeros(0, np.int64)
    term.advance(Steps(none, states(), [], none > 0), np.array([0]), states(first), list)


def step(term: RunningTerm, reached: int) -> float:
    steps = Steps(np.array([0]), states(reached), [0], np.array([False]))
    (result,) = term.advance(steps, np.zeros(0, np.int64), states(), lambda: ["act"])
    return float(result)


def test_a_potential_that_failed_is_asked_again_the_start_state_too() -> None:
    reward = Unsteady(0)
    term = make(reward)
    begin(term, 5)  # fails, so it is worth 0 here
    assert step(term, 7) == pytest.approx(GAMMA * 7 - 0)
    begin(term, 5)
    assert step(term, 7) == pytest.approx(GAMMA * 7 - 5)
    # What was answered is remembered as ever.
    assert reward.asked == [["5"], ["7"], ["5"]]
    assert term.skipped == 1


def test_a_bonus_that_failed_is_asked_again() -> None:
    reward = Unsteady(0)
    term = make(reward, shaping="bonus")
    begin(term, 5)
    assert [step(term, 7), step(term, 7), step(term, 7)] == [0, 7, 7]
    assert reward.asked == [["7"], ["7"]]


def test_a_scale_is_measured_on_answers_alone() -> None:
    half = Unsteady()
    half_fails = Caller.of("own", lambda texts: [np.nan if t == "0" else float(t) for t in texts])
    term = make(half)
    term.caller = half_fails
    texts = ["0"] * 50 + [str(100 + i) for i in range(101)]
    term.measure_range(texts)
    assert (term.low, term.span) == pytest.approx((105, 90))
    with pytest.raises(RewardError, match="failed on all of 2 texts"):
        term.measure_range(["0", "0"])
