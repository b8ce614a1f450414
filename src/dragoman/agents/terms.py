"""What a training's roles would have paid for the steps of a recorded episode."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from dragoman.describe.moment import Moment
from dragoman.engines.assembly import spec_of
from dragoman.engines.engine import default_engine
from dragoman.engines.weights import below
from dragoman.environments.vector import make_vector
from dragoman.errors import DragomanError
from dragoman.roles.explore.explorer import Explorer
from dragoman.roles.reward.rewarder import BonusWarning, Rewarder
from dragoman.roles.reward.term import Steps
from dragoman.roles.role import Models
from dragoman.run import Run
from dragoman.types import LanguageModel

T = TypeVar("T")

BONUS = "explore bonus, before its weight"
"""Since a weight that has come to 0 in the training would hide it."""

HERE, NOWHERE = np.zeros(1, np.int64), np.zeros(0, np.int64)


class Terms:
    """Rewards and bonus of one environment; what fails is left alone from then on.

    Both know what they had learnt when the training ended, and learn nothing here.

    Args:
        rewarder: The reward role, if any.
        explorer: The explore role, if any.

    Attributes:
        note: What a reader must know of what failed.
    """

    def __init__(self, rewarder: Rewarder | None, explorer: Explorer | None) -> None:
        self.rewarder = rewarder
        self.explorer = explorer
        self.note = ""

    @classmethod
    def of(cls, run: Run, model: LanguageModel | None) -> Terms:
        """Return the terms of a run's experiment."""
        experiment, models = run.experiment, Models(model, run.seed)
        if experiment.reward is None and experiment.explore is None:
            return cls(None, None)
        env = make_vector(spec_of(experiment), 1, experiment.env_settings)
        rewarder = explorer = None
        if experiment.reward is not None:
            gamma = default_engine().gamma(experiment)
            with warnings.catch_warnings():
                # The training has warned the user.
                warnings.simplefilter("ignore", BonusWarning)
                rewarder = Rewarder(experiment.reward, models, num_envs=1, gamma=gamma, env=env)
            rewarder.load_state(below("reward.", run.weights()))
            rewarder.recall(run.critiques())
        if experiment.explore is not None:
            explorer = Explorer(experiment.explore, models, 1, env.single_observation_space)
            explorer.load_state(below("explore.", run.weights()))
            explorer.learning = False
        env.close()
        return cls(rewarder, explorer)

    def begin(self, moment: Moment) -> None:
        """Begin an episode."""
        self._rewarded(lambda rewarder: rewarder.begin(HERE, [moment]))
        self._explored(lambda explorer: explorer.begin(HERE, [moment]))

    def step(
        self, moment: Moment, action: Any, *, is_terminal: bool
    ) -> tuple[dict[str, float], tuple[str, ...]]:
        """Return the terms of a step, and what was said of the state it led to."""

        def advanced(rewarder: Rewarder) -> tuple[dict[str, float], tuple[str, ...]]:
            steps = Steps(HERE, [moment], [action], np.array([is_terminal]))
            result = rewarder.advance(steps, NOWHERE, [])
            terms = {name: float(values[0]) for name, values in result.items()}
            return terms, rewarder.critiques(moment.state)

        terms, critiques = self._rewarded(advanced) or ({}, ())
        bonus = self._explored(
            lambda explorer: explorer.measure(HERE, [moment], NOWHERE, [], [action])
        )
        return {**terms, **({} if bonus is None else {BONUS: float(bonus[0])})}, critiques

    def close(self) -> None:
        """Give back what the terms run in."""
        if self.rewarder is not None:
            self.rewarder.close()
        self.rewarder = None

    def _rewarded(self, work: Callable[[Rewarder], T]) -> T | None:
        if self.rewarder is None:
            return None
        try:
            return work(self.rewarder)
        # Such as a server that is off: the replay is worth reading without these numbers.
        except DragomanError as error:
            self.close()
            self._say(f"No terms of the reward from here on: {error.problem}")
            return None

    def _explored(self, work: Callable[[Explorer], T]) -> T | None:
        if self.explorer is None:
            return None
        try:
            return work(self.explorer)
        except DragomanError as error:
            self.explorer = None
            self._say(f"No bonus from here on: {error.problem}")
            return None

    def _say(self, text: str) -> None:
        self.note = f"{self.note} {text}".strip()
