from __future__ import annotations

from dragoman.comparison.event import Event
from dragoman.comparison.file import read_comparison
from dragoman.comparison.progress import TellRuns
from dragoman.progress import Progress

TWO = {"base": {"env": "CartPole-v1", "steps": 100}, "controls": False, "seeds": 2}


def test_the_steps_of_all_runs_are_told_together() -> None:
    told: list[Progress] = []
    tell = TellRuns(told.append, read_comparison(TWO))
    tell(Event("", 0, "done"))  # the random policy, which takes no steps of a training
    tell(Event("model", 0, "kept"))
    tell(Event("no-model", 0, "started"))
    tell(Event("no-model", 0, "steps", 60))
    tell(Event("no-model", 0, "failed", text="RunError: ..."))
    tell(Event("model", 1, "steps", 700))
    tell(Event("model", 1, "done"))
    tell(Event("no-model", 1, "done"))
    assert [one.done for one in told] == [100, 100, 160, 200, 300, 300, 400]
    assert {one.total for one in told} == {400}
    assert told[-1].figures == {"runs ended": 4, "failed": 1}
    assert [one.is_over for one in told] == [False] * 6 + [True]
