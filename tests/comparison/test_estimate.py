from __future__ import annotations

from dragoman.comparison.estimate import Estimate
from dragoman.comparison.event import Event
from dragoman.comparison.file import read_comparison

FOUR = {"base": {"env": "CartPole-v1", "steps": 1000}, "seeds": 6}


def test_minutes_are_measured_on_the_first_rollouts_of_arms_with_and_without_a_model() -> None:
    now = [0.0]
    estimate = Estimate(read_comparison(FOUR), clock=lambda: now[0])
    assert estimate.note(Event("", 0, "done")) is None  # the random policy
    for arm in ("model", "no-model"):
        assert estimate.note(Event(arm, 0, "started")) is None
    now[0] = 10.0
    assert estimate.note(Event("model", 0, "steps", 20)) is None  # too early to say
    now[0] = 40.0
    assert estimate.note(Event("model", 0, "steps", 100)) is None  # 0.4 s a step
    said = estimate.note(Event("no-model", 0, "steps", 400))  # 0.1 s a step
    # Two arms of each kind, six seeds, two at once: (2 * 400 + 2 * 100) * 6 / 2 seconds.
    assert said == "about 50 minutes of training, by the first rollouts"
    assert estimate.note(Event("no-model", 0, "steps", 800)) is None


def test_what_runs_alone_is_not_divided_and_less_than_a_minute_is_one() -> None:
    now = [0.0]
    estimate = Estimate(read_comparison({**FOUR, "controls": False}), clock=lambda: now[0])
    estimate.note(Event("model", 0, "started"))
    now[0] = 5.0
    assert estimate.note(Event("model", 0, "steps", 1000)) is None
    estimate.note(Event("model", 0, "done"))
    estimate.note(Event("no-model", 0, "started"))
    now[0] = 6.0
    said = estimate.note(Event("no-model", 0, "steps", 1000))
    assert said == "about 1 minute of training, by the first rollouts"  # 6 * (5 + 1) seconds


def test_a_run_that_goes_on_from_before_measures_nothing() -> None:
    estimate = Estimate(read_comparison(FOUR))
    assert estimate.note(Event("model", 0, "kept")) is None
    assert estimate.note(Event("model", 0, "done")) is None
