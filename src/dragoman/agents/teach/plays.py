"""Play to learn from: of a run, a task's reference policy, demonstrations or Minari."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from dragoman.agents.agent import Agent
from dragoman.describe.moment import MOMENT, Moment, MomentMaker, moment_of
from dragoman.environments.indices import Indices
from dragoman.errors import ConfigError, did_you_mean
from dragoman.experiment import Experiment
from dragoman.maths.seeds import derive_seed
from dragoman.roles.explore.demonstrations import NAME, Demonstrations, shown
from dragoman.run import Run
from dragoman.tasks.catalog import TASKS

REFERENCE = ":reference"
MINARI = "minari:"


@dataclass(frozen=True)
class Episode:
    """Moments of an episode, and what was done in them.

    Attributes:
        steps: Moments with the indices of the actions, counted from zero.
        episode_return: Sum of the environment's rewards.
        is_whole: Whether it went to its end.
    """

    steps: tuple[tuple[Moment, int], ...]
    episode_return: float
    is_whole: bool = True


Show = Callable[[Experiment, gym.Env[Any, Any], MomentMaker, int, int], Iterator[Episode]]
"""Experiment, environment, maker of moments, seed and most steps of an episode to episodes."""


@dataclass(frozen=True)
class Play:
    """Where episodes come from.

    Attributes:
        name: What names it, for messages and the record.
        experiment: Keys of an experiment on its environment.
        show: Yields the episodes.
    """

    name: str
    experiment: Mapping[str, Any]
    show: Show = field(repr=False)


def play_of(source: Run | str | Path, trust_code: bool = False) -> Play:
    """Return the play that a user names.

    Args:
        source: A run or its folder, a folder of `dragoman.seek`, ``TASK:reference`` or
            ``minari:ID``.
        trust_code: Run the code that a run's config names, whoever has trained it.

    Raises:
        ConfigError: There is no such task.
        RunError: There is no such folder.
    """
    name = str(source)
    if isinstance(source, Run):
        return _of_run(source, trust_code)
    if name.startswith(MINARI):
        from dragoman.agents.teach.minari import play_of_minari

        return play_of_minari(name.removeprefix(MINARI))
    if name.endswith(REFERENCE):
        return _of_reference(name.removesuffix(REFERENCE))
    if (Path(name) / NAME).is_file():
        return _of_demonstrations(Demonstrations.read(name))
    return _of_run(Run(name), trust_code)


def _of_run(run: Run, trust_code: bool) -> Play:
    experiment = run.experiment
    describe = experiment.describe

    def show(
        learner: Experiment, env: gym.Env[Any, Any], make: MomentMaker, seed: int, most: int
    ) -> Iterator[Episode]:
        is_alike = learner.describe == describe
        if describe.history and not is_alike:
            raise ConfigError(
                f"the agent of {run.path} remembers {describe.history} steps in its own words, "
                "but the learner's describe is another",
                cure="give the learner the describe of the run",
            )
        agent = Agent(run, trust_code=trust_code)

        def act(env: gym.Env[Any, Any], moment: Moment) -> Any:
            # A moment that stands there is in the learner's words.
            own = {key: value for key, value in moment.info.items() if is_alike or key != MOMENT}
            return agent.act([moment.observation], [own])[0]

        return _played(env, make, act, seed, most, begin=agent.begin)

    keys = ("env", "env_settings", "max_episode_steps", "describe")
    data = experiment.to_dict()
    return Play(str(run.path), {key: data[key] for key in keys}, show)


def _of_reference(name: str) -> Play:
    task = next((task for task in TASKS if task.id == name), None)
    if task is None:
        known = list(dict.fromkeys(task.id for task in TASKS))
        raise ConfigError(
            f"there is no task {name!r}{did_you_mean(name, known)} with a reference policy",
            cure="'dragoman ls tasks' lists them",
        )

    def show(
        learner: Experiment, env: gym.Env[Any, Any], make: MomentMaker, seed: int, most: int
    ) -> Iterator[Episode]:
        policy = task.load_policy()
        return _played(env, make, lambda env, moment: policy(env), seed, most)

    keys = {"env": task.id, "max_episode_steps": task.max_episode_steps}
    return Play(f"{name}{REFERENCE}", keys, show)


def _of_demonstrations(found: Demonstrations) -> Play:
    def show(
        learner: Experiment, env: gym.Env[Any, Any], make: MomentMaker, seed: int, most: int
    ) -> Iterator[Episode]:
        for one in found.episodes:
            steps = tuple((step.before, step.action) for step in shown(env, make, [one]))
            yield Episode(steps, one.episode_return)

    return Play(str(found.path), {"env": found.env, "env_settings": found.env_settings}, show)


def _played(
    env: gym.Env[Any, Any],
    make: MomentMaker,
    act: Callable[[gym.Env[Any, Any], Moment], Any],
    seed: int,
    most: int,
    begin: Callable[[], None] = lambda: None,
) -> Iterator[Episode]:
    """Yield episodes for ever, on seeds that neither trainings nor evaluations use."""
    indices = Indices(env.action_space)
    for number in itertools.count():
        moment = moment_of(*env.reset(seed=derive_seed("teach", seed, number)), make)
        begin()
        steps: list[tuple[Moment, int]] = []
        total, is_over = 0.0, False
        while not is_over and len(steps) < most:
            # Now, before a step that may change what the environment has handed over.
            _ = moment.text, moment.valid, moment.action_texts
            action = act(env, moment)
            steps.append((moment, int(indices.indices(np.asarray(action)))))
            observation, reward, ended, cut, info = env.step(action)
            moment = moment_of(observation, info, make)
            total, is_over = total + float(reward), bool(ended or cut)
        yield Episode(tuple(steps), total, is_over)
