from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import pytest

from dragoman.comparison.estimate import Estimate, measured
from dragoman.comparison.event import Event
from dragoman.comparison.file import read_comparison
from dragoman.errors import RunError
from tests.number_tasks import Greatest


class Failing(Greatest):
    """Raises after so many steps that a random episode beforehand does not see it."""

    steps = 0

    def step(self, action: Any) -> Any:
        self.steps += 1
        if self.steps > 20:
            raise RuntimeError("the motor is hot")
        return super().step(action)


FOUR = {"base": {"env": "CartPole-v1", "steps": 1000}, "seeds": 6}


def test_minutes_are_measured_on_the_first_rollouts_of_arms_with_and_without_a_model() -> None:
    now = [0.0]
    estimate = Estimate(read_comparison(FOUR), clock=lambda: now[0])
    assert estimate.note(Event("", 0, "done")) is None  # the random policy
    for arm in ("model", "no-model"):
        assert estimate.note(Event(arm, 0, "started")) is None
    now[0] = 15.0  # the model is loaded
    assert estimate.note(Event("model", 0, "steps", 20)) is None
    assert estimate.note(Event("no-model", 0, "steps", 200)) is None
    now[0] = 20.0
    assert estimate.note(Event("model", 0, "steps", 60)) is None  # too early to say
    now[0] = 55.0
    assert estimate.note(Event("model", 0, "steps", 120)) is None  # 0.4 s a step
    said = estimate.note(Event("no-model", 0, "steps", 600))  # 0.1 s a step
    # Two arms of each kind, six seeds, two at once: (2 * 400 + 2 * 100) * 6 / 2 + 30 seconds.
    assert said == "about 50 minutes in all, by the first rollouts"
    assert estimate.note(Event("no-model", 0, "steps", 800)) is None
    now[0] = 130.0  # 0.13 s a step, its start and its evaluation with it
    assert estimate.note(Event("no-model", 0, "done")) is None  # about the same
    # Its texts were new after the first rollout: 2 s a step.
    now[0] = 2000.0
    said = estimate.note(Event("model", 0, "done"))
    assert said == "about 213 minutes in all, by the runs that are done"


def test_what_was_there_before_takes_no_time() -> None:
    now = [0.0]
    estimate = Estimate(read_comparison({**FOUR, "controls": False}), clock=lambda: now[0])
    for seed in range(4):
        assert estimate.note(Event("model", seed, "kept")) is None
        assert estimate.note(Event("no-model", seed, "kept")) is None
    for arm in ("model", "no-model"):
        assert estimate.note(Event(arm, 4, "started")) is None
        assert estimate.note(Event(arm, 4, "steps", 0)) is None
    now[0] = 50.0
    assert estimate.note(Event("model", 4, "steps", 100)) is None
    said = estimate.note(Event("no-model", 4, "steps", 200))
    # Two seeds are left, two runs at once: (500 + 250) * 2 / 2 seconds.
    assert said == "about 12 minutes for what is missing, by the first rollouts"


def test_an_arm_that_is_done_is_not_waited_for() -> None:
    now = [0.0]
    estimate = Estimate(read_comparison({**FOUR, "controls": False}), clock=lambda: now[0])
    for seed in range(6):
        assert estimate.note(Event("no-model", seed, "kept")) is None
    assert estimate.note(Event("model", 0, "started")) is None
    assert estimate.note(Event("model", 0, "steps", 0)) is None
    now[0] = 50.0
    said = estimate.note(Event("model", 0, "steps", 100))
    assert said == "about 50 minutes for what is missing, by the first rollouts"


def test_what_runs_alone_is_not_divided_and_less_than_a_minute_is_one() -> None:
    now = [0.0]
    estimate = Estimate(read_comparison({**FOUR, "controls": False}), clock=lambda: now[0])
    for arm, steps in (("model", 500), ("no-model", 1000)):
        estimate.note(Event(arm, 0, "started"))
        estimate.note(Event(arm, 0, "steps", 0))
        now[0] += 2.5
        said = estimate.note(Event(arm, 0, "steps", steps))
        estimate.note(Event(arm, 0, "done"))
    assert said == "about 1 minute in all, by the first rollouts"  # 6 * (5 + 2.5) seconds


def test_measuring_leaves_nothing_and_a_training_that_fails_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    base = {"env": "CartPole-v1", "observe": None, "steps": 20_000}
    arms = {"one": {}, "other": {"algorithm.settings.n_steps": 64}}
    comparison = read_comparison({"base": base, "arms": arms, "baseline": "one"}, seeds=6)
    said = measured(comparison, jobs=1)
    assert said is not None
    assert re.fullmatch(r"about \d+ minutes? in all, by the first rollouts", said)
    failing = {"env": "tests.comparison.test_estimate:Failing", "observe": None, "steps": 20_000}
    with pytest.raises(RunError, match=r"failed: .*the motor is hot"):
        measured(read_comparison({"base": failing, "arms": arms, "baseline": "one"}, seeds=6))
    assert not list(tmp_path.iterdir())


def test_a_run_that_goes_on_from_before_measures_nothing() -> None:
    estimate = Estimate(read_comparison(FOUR))
    assert estimate.note(Event("model", 0, "kept")) is None
    assert estimate.note(Event("model", 0, "done")) is None
