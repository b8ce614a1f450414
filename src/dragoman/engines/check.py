"""What an experiment asks of an environment's spaces, before a model is loaded for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import iterate

from dragoman.describe.moment import Moment, MomentMaker, moment_of
from dragoman.describe.rollout import random_action
from dragoman.engines.assembly import moments_of, raw_state_of, spec_of
from dragoman.engines.engine import Engine, default_engine
from dragoman.environments.vector import make_vector, split_infos
from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.models.hardware import check_device
from dragoman.roles.act.action_set import check_choice
from dragoman.roles.observe.raw import RawState


def check_spaces(
    experiment: Experiment, env: VectorEnv[Any, Any, Any], moments: MomentMaker, engine: Engine
) -> None:
    """Refuse an environment whose spaces the experiment's algorithm or roles cannot serve.

    Args:
        experiment: What is to be trained.
        env: The vector environment, before any role.
        moments: Makes its moments.
        engine: What is to train it.

    Raises:
        ConfigError: The algorithm or the act role cannot choose its actions, or raw observations
            hold nothing that can be read.
        SpaceError: Observations hold nothing that can be described, where a role reads texts.
    """
    _readers(experiment, env, moments, engine)


def check(experiment: Experiment, engine: Engine | None = None) -> None:
    """Refuse an experiment that could not train, by its spaces and two observations.

    It makes an environment, and takes two steps. No model is loaded.

    Args:
        experiment: What is to be trained.
        engine: What is to train it; Stable-Baselines3 unless given.

    Raises:
        ConfigError: As in `check_spaces`, or the environment cannot be made, the model's device is
            not there, or a setting of the algorithm does not fit.
        SpaceError: As in `check_spaces`, or an observation does not lie in its space.
    """
    if experiment.uses_model:
        check_device(experiment.model.device)
    env = make_vector(spec_of(experiment), 1, experiment.env_settings)
    try:
        make = moments_of(experiment, env)
        readers = _readers(experiment, env, make, engine or default_engine())
        observations, infos = env.reset(seed=0)
        for _ in range(2):
            (observation,) = iterate(env.observation_space, observations)
            (info,) = split_infos(infos, 1)
            moment = moment_of(observation, info, make)
            for read in readers:
                read(moment)
            action = random_action(env.single_action_space, info)
            observations, _, _, _, infos = env.step(np.stack([action]))
    finally:
        env.close()


def _readers(
    experiment: Experiment, env: VectorEnv[Any, Any, Any], moments: MomentMaker, engine: Engine
) -> list[Callable[[Moment], Any]]:
    """Return what reads a moment in this experiment, besides a model."""
    observations, actions = env.single_observation_space, env.single_action_space
    name = experiment.algorithm.name
    if name not in engine.algorithms:
        raise ConfigError(
            f"the engine {engine.name} has no {name}; it has {', '.join(engine.algorithms)}",
            cure="name one of these as algorithm, or train with another engine",
        )
    engine.check(experiment, observations, actions)
    readers: list[Callable[[Moment], Any]] = []
    observe, act = experiment.observe, experiment.act
    raw = raw_state_of(experiment, observations) if observe is None else None
    if observe is not None and observe.raw:
        raw = RawState(observations)
    if raw is not None:
        readers.append(lambda moment: raw([moment]))
    if act is not None:
        check_choice(act, actions)
    explore = experiment.explore
    reads_texts = explore is not None and explore.reads_texts
    if observe is not None or act is not None or experiment.reward is not None or reads_texts:
        moments.describer  # noqa: B018  refuses what cannot be described
        readers.append(lambda moment: moment.text)
    return readers
