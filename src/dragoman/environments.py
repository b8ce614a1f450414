"""Find an environment by its registered id, by ``module:Class`` or by ``file.py:Class``."""

from __future__ import annotations

import copy
import importlib
import inspect
from collections.abc import Mapping
from typing import Any, cast

import gymnasium as gym
from gymnasium.envs.registration import EnvCreator, EnvSpec

from dragoman.errors import ConfigError, did_you_mean
from dragoman.importing import import_module

_OWN = "dragoman/"
"""Namespace of the built-in tasks, which are registered when their package is imported."""


def environment_spec(name: str, *, max_episode_steps: int | None = None) -> EnvSpec:
    """Return the specification of an environment.

    Args:
        name: A registered id (``CartPole-v1``), a registered id behind the module that
            registers it (``my_package:MyEnv-v0``), a class (``my_package.envs:MyEnv``) or a
            class in a file (``my_env.py:MyEnv``).
        max_episode_steps: Time limit instead of the registered one.

    Raises:
        ConfigError: There is no such environment, module, file or class.
    """
    if name.startswith(_OWN):
        importlib.import_module("dragoman.tasks")
    source, separator, attribute = name.rpartition(":")
    if separator:
        module = import_module(source, name)
        found = getattr(module, attribute, None)
        if inspect.isclass(found) and issubclass(found, gym.Env):
            return EnvSpec(
                id=f"{found.__name__}-v0",
                entry_point=cast(EnvCreator, found),
                max_episode_steps=max_episode_steps,
            )
    try:
        # A copy, because Gymnasium hands out the registry's own object.
        spec = copy.deepcopy(gym.spec(attribute if separator else name))
    except gym.error.Error as error:
        if separator:
            classes = [key for key, value in vars(module).items() if inspect.isclass(value)]
            raise ConfigError(
                f"{name!r}: {attribute!r} is neither a Gymnasium environment class in {source!r} "
                f"nor an id that it registers{did_you_mean(attribute, classes)}",
                cure="name a subclass of gymnasium.Env, as in 'my_env.py:MyEnv'",
            ) from error
        raise ConfigError(
            f"environment {name!r} is not registered{did_you_mean(name, gym.registry)}: {error}",
            cure="check the id, or give your own environment as 'module:Class' or 'file.py:Class'",
        ) from error
    if max_episode_steps is not None:
        spec.max_episode_steps = max_episode_steps
    return spec


def make_environment(
    spec: EnvSpec,
    settings: Mapping[str, Any] | None = None,
) -> gym.Env[Any, Any]:
    """Make one environment.

    Args:
        spec: What `environment_spec` returned.
        settings: Keyword arguments of the environment's constructor.

    Raises:
        ConfigError: The environment refuses the settings or needs a package that is missing.
    """
    try:
        return gym.make(spec, **dict(settings or {}))
    except gym.error.DependencyNotInstalled as error:
        raise ConfigError(
            f"environment {spec.id!r} needs a package that is not installed: {error}",
            cure="install the package that the message names",
        ) from error
    except (TypeError, gym.error.Error) as error:
        raise ConfigError(
            f"environment {spec.id!r} refuses the settings {dict(settings or {})}: {error}",
            cure="give env_settings only what the environment's constructor takes",
        ) from error
