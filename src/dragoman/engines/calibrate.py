"""What an observer learns from features alone, learnt before the training and then kept fixed.

Observers standardise features by running moments of what they meet. Moments that move on would
move a policy's inputs under it; and where several processes play, each would meet something else,
and one policy would read features of different scales.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import gymnasium as gym

from dragoman.describe.moment import MomentMaker
from dragoman.describe.rollout import sample_moments
from dragoman.experiment import Experiment
from dragoman.roles.observe.observer import AnyObserver

CALIBRATION_STEPS = 1024
"""Steps of random play, unless ``observe.freeze_after`` names another number."""
BATCH = 32
"""Moments that are read at a time."""


@dataclass(frozen=True)
class Calibration:
    """What was done before a training.

    Attributes:
        steps: Steps of random play, which are none of the training's.
        seconds: What they took.
    """

    steps: int
    seconds: float


def steps_before(experiment: Experiment, observer: AnyObserver | None) -> int:
    """Return how many random steps an observer learns from; none where it learns nothing.

    A training of fewer steps is not preceded by more than it has.
    """
    if observer is None or not observer.learning or not observer.state():
        return 0
    if experiment.observe is not None and experiment.observe.freeze_after is not None:
        return experiment.observe.freeze_after
    return min(CALIBRATION_STEPS, experiment.steps)


def calibrate(
    observer: AnyObserver,
    steps: int,
    make: Callable[[], gym.Env[object, object]],
    moments: MomentMaker,
    seed: int,
) -> Calibration:
    """Let an observer see random play, and learn nothing from then on.

    Args:
        observer: What the policy sees with.
        steps: What `steps_before` says.
        make: Makes a copy of the environment, which is closed then.
        moments: Makes its moments.
        seed: Names the play.
    """
    begun = time.monotonic()
    # Where there is more to see than there is to learn from.
    learn = getattr(observer, "learn", observer)
    if steps:
        played = list(sample_moments(make(), moments, seed, steps))
        for start in range(0, len(played), BATCH):
            learn(played[start : start + BATCH])
    observer.learning = False
    return Calibration(steps, time.monotonic() - begun)
