"""For scripts that drive RLlib themselves: an experiment as RLlib's own configuration."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from contextlib import closing
from functools import partial

import numpy as np
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

from dragoman.engines.assembly import moments_of, reader_of, spec_of
from dragoman.engines.calibrate import calibrate, steps_before
from dragoman.engines.check import check_spaces
from dragoman.engines.masks import masks_of, obeying
from dragoman.engines.rllib import RLlib
from dragoman.engines.rllib.config import config_of
from dragoman.engines.rllib.settings import settings_of
from dragoman.engines.rllib.task import Task
from dragoman.engines.stack import RoleStack
from dragoman.environments import make_environment
from dragoman.environments.vector import EpisodeRecorder, make_vector
from dragoman.errors import ConfigError
from dragoman.experiment.source import Source, read_experiment
from dragoman.maths.seeds import derive_seed
from dragoman.roles.role import Context, Models, remembering


def algorithm_config(
    experiment: Source, seed: int = 0, *, engine: RLlib | None = None
) -> AlgorithmConfig:
    """Return RLlib's configuration of an experiment, to be changed, built and trained by a script.

    Its runner class puts the experiment's roles around the environments, its module is the
    experiment's policy, and its learner has the loss and the connector of advantages that the
    engine trains with. There is no run folder: the script owns what comes out. A learning rate
    that falls is for the script to set. Each process loads the language model itself.

    Args:
        experiment: What to train: a file, ``recipe:NAME``, an environment, plain data or an object.
        seed: Seed of environments, weights and exploration.
        engine: How many processes play and learn.

    Raises:
        ConfigError: The experiment cannot work, or replicas are asked for, which a training starts.
    """
    experiment = read_experiment(experiment)
    engine = RLlib() if engine is None else engine
    if engine.model_replicas:
        raise ConfigError(
            f"model_replicas is {engine.model_replicas}, but only dragoman.train starts replicas",
            cure="leave model_replicas out: each runner has the model then",
        )
    spec, settings = spec_of(experiment), experiment.env_settings
    env = EpisodeRecorder(make_vector(spec, 1, settings, autoreset=engine.autoreset))
    stack = RoleStack(env)
    observed: Mapping[str, np.ndarray] = {}
    masks = masks_of(experiment, spec)
    acting = obeying(experiment, {} if masks is None else {"masks": masks})
    with closing(stack):
        moments = moments_of(experiment, env)
        check_spaces(experiment, env, moments, engine)
        model = remembering(reader_of(experiment, seed))
        stack.add(acting, Context(Models(model, seed), moments, engine.gamma(experiment)))
        if stack.observer is not None:
            steps = steps_before(acting, stack.observer)
            make = partial(make_environment, spec, settings)
            calibrate(stack.observer, steps, make, moments, seed)
            observed = stack.observer.state()
    task = Task(
        name=uuid.uuid4().hex,
        experiment=json.dumps(acting.to_dict()),
        seed=seed,
        env_seed=derive_seed("train", seed),
        observer=observed,
        fingerprint=None if model is None else model.fingerprint,
    )
    return config_of(engine, task, settings_of(acting))
