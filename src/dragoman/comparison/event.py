"""What happens to the runs of a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Event:
    """What happens to a run.

    Attributes:
        arm: Name of its arm; empty for the random policy.
        seed: Its seed.
        kind: ``removed`` says that an unfinished run was thrown away to begin again; ``resumed``
            that it goes on from its last checkpoint; ``kept`` that it was finished already.
        steps: Environment steps taken so far.
        text: What went wrong, or what was removed.
    """

    arm: str
    seed: int
    kind: Literal["kept", "removed", "resumed", "started", "steps", "done", "failed"]
    steps: int = 0
    text: str = ""
