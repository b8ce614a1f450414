from __future__ import annotations

import numpy as np
import pytest

from dragoman.engines.assembly import moments_of, observer_of, spec_of
from dragoman.engines.calibrate import calibrate
from dragoman.environments import make_environment
from dragoman.environments.vector import make_vector
from dragoman.experiment import Experiment
from dragoman.roles.observe.settings import Observe
from dragoman.roles.role import Models, remembering
from dragoman.testing import ScriptedModel
from tests.number_reader import read_numbers


def calibrated(experiment: Experiment, seed: int = 0):
    env = make_vector(spec_of(experiment), 1)
    moments = moments_of(experiment, env)
    observer = observer_of(experiment, env, Models(remembering(ScriptedModel(read_numbers)), 0))
    copy = make_environment(spec_of(experiment), experiment.env_settings)
    calibrate(observer, experiment, copy, moments, seed)
    env.close()
    return observer


@pytest.mark.parametrize(("freeze_after", "seen"), [(None, 1024), (100, 100)])
def test_what_is_learnt_of_random_play_stands_still(freeze_after: int | None, seen: int) -> None:
    experiment = Experiment(env="CartPole-v1", observe=Observe(freeze_after=freeze_after))
    observer = calibrated(experiment)
    before = observer.state()
    # The first moments of new episodes are read too.
    assert seen <= int(before["count"]) <= seen * 1.2 + 33
    other = make_vector(spec_of(experiment), 4)
    observations, _ = other.reset(seed=1)
    make = moments_of(experiment, other)
    observer([make(observation, {}) for observation in observations])
    other.close()
    after = observer.state()
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_one_seed_one_state() -> None:
    experiment = Experiment(env="CartPole-v1", observe=Observe(freeze_after=64))
    first, again, other = (calibrated(experiment, seed).state() for seed in (0, 0, 1))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["mean"], other["mean"])
