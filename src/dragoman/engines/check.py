"""What an experiment asks of an environment's spaces, before a model is loaded for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
from gymnasium.vector import VectorEnv

from dragoman.describe.moment import Moment, MomentMaker
from dragoman.engines.assembly import moments_of, raw_state_of, spec_of
from dragoman.engines.engine import Engine, default_engine
from dragoman.engines.trial import try_episode
from dragoman.environments import make_environment
from dragoman.environments.vector import make_vector
from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.models.hardware import check_device
from dragoman.roles.act.action_set import check_choice
from dragoman.roles.observe.raw import RawState


def check_spaces(
    experiment: Experiment, env: VectorEnv[Any, Any, Any], moments: MomentMaker, engine: Engine
) -> list[Callable[[Moment], Any]]:
    """Refuse settings that do not fit, and spaces that algorithm or roles cannot serve.

    Args:
        experiment: What is to be trained.
        env: The vector environment, before any role.
        moments: Makes its moments.
        engine: What is to train it.

    Returns:
        What reads a moment in this experiment, besides a model.

    Raises:
        ConfigError: The algorithm or the act role cannot choose its actions, raw observations
            hold nothing that can be read, or a setting of the algorithm or a reward does not fit.
        SpaceError: Observations hold nothing that can be described, where a role reads texts.
    """
    observations, actions = env.single_observation_space, env.single_action_space
    name = experiment.algorithm.name
    if name not in engine.algorithms:
        raise ConfigError(
            f"the engine {engine.name} has no {name}; it has {', '.join(engine.algorithms)}",
            cure="name one of these as algorithm, or train with another engine",
        )
    engine.check(experiment, observations, actions)
    readers: list[Callable[[Moment], Any]] = []
    observe, act, reward = experiment.observe, experiment.act, experiment.reward
    if observe is None:
        raw = raw_state_of(experiment, observations)
    else:
        observe.check(env)
        raw = RawState(observations) if observe.raw else None
    if raw is not None:
        readers.append(lambda moment: raw([moment]))
    if act is not None:
        check_choice(act, actions)
    if reward is not None:
        reward.check(engine.gamma(experiment), env)
    for own in experiment.own_roles.values():
        own.role  # noqa: B018  refuses what is no role
    explore = experiment.explore
    reads_texts = explore is not None and explore.reads_texts
    if experiment.guide is not None:
        experiment.guide.check_actions(actions)
        reads_texts = True
    reads_texts |= experiment.credit.plays_whole_episodes
    reads_texts |= observe is not None and observe.reads_texts
    if act is not None or reward is not None or reads_texts:
        moments.describer  # noqa: B018  refuses what cannot be described
        readers.append(lambda moment: moment.text)
    if act is not None and isinstance(actions, gym.spaces.Discrete):
        readers.append(lambda moment: (moment.valid, moment.action_texts))
    return readers


def check(experiment: Experiment, engine: Engine | None = None) -> None:
    """Refuse an experiment that could not train, by its spaces and one random episode.

    No model is loaded.

    Args:
        experiment: What is to be trained.
        engine: What is to train it; Stable-Baselines3 unless given.

    Raises:
        ConfigError: As in `check_spaces`, or the environment cannot be made, or the model's device
            is not there.
        SpaceError: As in `check_spaces` and `dragoman.engines.trial.try_episode`.
    """
    if experiment.uses_model:
        check_device(experiment.model.device)
    spec, settings = spec_of(experiment), experiment.env_settings
    env = make_vector(spec, 1, settings)
    try:
        moments = moments_of(experiment, env)
        readers = check_spaces(experiment, env, moments, engine or default_engine())
        try_episode(lambda: make_environment(spec, settings), moments, readers)
    finally:
        env.close()
