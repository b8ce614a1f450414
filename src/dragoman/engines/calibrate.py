"""What an observer learns from features alone, learnt before the training and then kept fixed.

Observers standardise features by running moments of what they meet. Where several processes play,
each would meet something else, and one policy would read features of different scales.
"""

from __future__ import annotations

import gymnasium as gym

from dragoman.describe.moment import MomentMaker
from dragoman.describe.rollout import sample_moments
from dragoman.experiment import Experiment
from dragoman.roles.observe.observer import AnyObserver

CALIBRATION_STEPS = 1024
"""Steps of random play, unless ``observe.freeze_after`` names another number."""
BATCH = 32
"""Moments that are read at a time."""


def calibrate(
    observer: AnyObserver,
    experiment: Experiment,
    env: gym.Env[object, object],
    moments: MomentMaker,
    seed: int,
) -> None:
    """Let an observer see random play, and learn nothing from then on.

    Args:
        observer: What the policy sees with.
        experiment: Says how many steps.
        env: A copy of the environment, which is closed then.
        moments: Makes its moments.
        seed: Names the play.
    """
    steps = CALIBRATION_STEPS
    if experiment.observe is not None and experiment.observe.freeze_after is not None:
        steps = experiment.observe.freeze_after
    if observer.state():
        played = list(sample_moments(env, moments, seed, steps))
        for start in range(0, len(played), BATCH):
            observer(played[start : start + BATCH])
    else:
        env.close()
    observer.learning = False
