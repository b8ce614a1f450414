from __future__ import annotations

import pytest

from dragoman.engines.rllib import watchdog
from dragoman.engines.rllib.watchdog import NoStepsError, Watchdog


def test_seconds_without_a_step_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(watchdog.time, "monotonic", lambda: now[0])
    dog = Watchdog(patience=90)
    for now[0], steps in ((60.0, 8), (100.0, 0), (150.0, 0), (150.0, 1), (239.0, 0)):
        dog.note(steps)
    now[0] = 241.0
    with pytest.raises(NoStepsError, match="no runner has taken a step for 91 seconds"):
        dog.note(0)
