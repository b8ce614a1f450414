"""What every process of a training knows of it, and what each makes of that once."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from ray import cloudpickle

from dragoman.engines.assembly import reader_of
from dragoman.engines.rllib.replica import connected
from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.models.cache import CachedModel, torch_model_of, without_memory
from dragoman.roles.role import remembering


@dataclass(frozen=True)
class Task:
    """What is trained, in a form that travels.

    Attributes:
        name: Of this training, among all of a process.
        experiment: As plain data.
        seed: Of the training, from which roles draw.
        env_seed: From which environments, weights and exploration draw.
        observer: What the observer has learnt before the training.
        fingerprint: Of the experiment's language model, where a role asks one.
        model: A pickled language model, where it cannot be loaded by its name.
        replicas: Processes that answer for the model, where runners have none of their own.
        weights: What the network begins with, by names; drawn by default.
    """

    name: str
    experiment: str
    seed: int
    env_seed: int
    observer: Mapping[str, np.ndarray]
    fingerprint: str | None = None
    model: bytes | None = None
    replicas: int = 0
    weights: Mapping[str, np.ndarray] | None = None

    @functools.cached_property
    def what(self) -> Experiment:
        """The experiment."""
        return Experiment.from_dict(json.loads(self.experiment))


@dataclass(frozen=True)
class Own:
    """What the process that started a training has made already."""

    env: VectorEnv[Any, Any, Any]
    model: CachedModel | None
    on_step: Any


_OWN: dict[str, Own] = {}
"""By name of the training."""
_MODELS: dict[str, CachedModel | None] = {}


def keep(task: Task, own: Own) -> None:
    """Let parts of this process use what it has, instead of making it once more."""
    _OWN[task.name] = own


def forget(task: Task) -> None:
    """Let go of what `keep` was given."""
    _OWN.pop(task.name, None)


def own_of(task: Task) -> Own | None:
    """Return what `keep` was given in this process."""
    return _OWN.get(task.name)


def model_of(task: Task, worker: int = 0) -> CachedModel | None:
    """Return the language model of this process, loaded once for all of its parts.

    Args:
        task: What is trained.
        worker: Number of the runner, where replicas share the runners.

    Raises:
        ConfigError: What is loaded here is not the model of the process that started the training.
    """
    own = own_of(task)
    if own is not None:
        return own.model
    if task.name not in _MODELS:
        _MODELS.clear()
        experiment = task.what
        if experiment.model.threads is None:
            torch.set_num_threads(1)
            experiment = experiment.replaced({"model.threads": 1})
        model = _made(task, experiment, worker)
        if model is not None and model.fingerprint != task.fingerprint:
            raise ConfigError(
                f"a runner has loaded {model.name!r} ({model.fingerprint}), but the training was "
                f"started with a model of fingerprint {task.fingerprint}",
                cure="name the model in the experiment, or train with env_runners=0",
            )
        _MODELS[task.name] = model
    return _MODELS[task.name]


def _made(task: Task, experiment: Experiment, worker: int) -> CachedModel | None:
    if task.replicas:
        return connected(task.name, task.replicas, worker)
    if task.model is not None:
        return remembering(cloudpickle.loads(task.model))
    return remembering(reader_of(experiment, task.seed))


def seed_process(seed: int) -> None:
    """Let a process that has its own random numbers draw from a seed."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)


def packed(model: CachedModel | None) -> bytes | None:
    """Return a language model that only its own process has, pickled; nothing for one with a name.

    Raises:
        ConfigError: It cannot travel.
    """
    inner = None if model is None else without_memory(model)
    if inner is None or torch_model_of(inner) is not None:
        return None
    try:
        pickled: bytes = cloudpickle.dumps(inner)
    except Exception as error:
        raise ConfigError(
            f"the model {inner.name!r} cannot be sent to the runners: {error}",
            cure="name a model that each can load, or train with env_runners=0",
        ) from error
    return pickled
