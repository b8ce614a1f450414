"""Trainings on RLlib in which a process is lost, or does not come back."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from dragoman.agents.evaluate import evaluate
from dragoman.engines.rllib import RLlib
from dragoman.engines.rllib.watchdog import LearnerLostError, NoStepsError
from dragoman.engines.train import train
from dragoman.engines.watcher import Watcher
from dragoman.experiment import Algorithm, Experiment
from dragoman.run import Run
from tests.counting_env import Counting
from tests.engines.rllib.test_training import SMALL, lamps, reader

pytestmark = pytest.mark.usefixtures("cluster_of_three")


class KillingLearner(Watcher):
    """Kills the process that learns after the second round."""

    rounds = 0

    def update(self, training):
        self.rounds += 1
        if self.rounds == 2:
            group = training._algorithm.learner_group
            (pid,) = (result.get() for result in group.foreach_learner(lambda one: os.getpid()))
            os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data")
def test_a_learner_that_is_lost_ends_a_training_whose_weights_are_saved(tmp_path: Path) -> None:
    engine = RLlib(env_runners=1, learners=1)
    with pytest.raises(LearnerLostError, match="a process that learns is gone after 512 steps"):
        train(lamps(4096), out=tmp_path / "run", engine=engine, model=reader(),
              watchers=[KillingLearner()])  # fmt: skip
    run = Run(tmp_path / "run")
    assert (run.status, run.steps) == ("failed", 512)
    assert len(evaluate(run, 4, model=reader()).returns) == 4


class Hanging(Counting):
    """Takes no step any more after the twentieth."""

    taken = 0

    def step(self, action):
        self.taken += 1
        if self.taken > 20:
            time.sleep(600)
        return super().step(action)


@pytest.mark.slow
def test_an_environment_that_hangs_ends_a_training(tmp_path: Path) -> None:
    experiment = Experiment(
        env=f"{__name__}:Hanging",
        steps=1000,
        num_envs=1,
        observe=None,
        algorithm=Algorithm("ppo", SMALL, (8,)),
    )
    begun = time.monotonic()
    with pytest.raises(NoStepsError, match="no runner has taken a step"):
        train(experiment, out=tmp_path / "run", engine=RLlib(env_runners=1, patience=15))
    assert time.monotonic() - begun < 300
    assert Run(tmp_path / "run").status == "failed"
