"""Find an environment by its registered id, by ``module:Class`` or by ``file.py:Class``."""

from __future__ import annotations

import contextlib
import copy
import importlib
import importlib.util
import inspect
import io
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import gymnasium as gym
from gymnasium.envs.registration import EnvCreator, EnvSpec, WrapperSpec

from dragoman.errors import ConfigError, MissingExtraError, did_you_mean

_OWN = "dragoman/"
"""Namespace of the built-in tasks, which are registered when their package is imported."""
_BABYAI = "BabyAI-"
_MINIGRID = (_BABYAI, "MiniGrid-")
"""Beginnings of the ids that are registered when the package minigrid is imported."""


def environment_spec(name: str, *, max_episode_steps: int | None = None) -> EnvSpec:
    """Return the specification of an environment.

    Args:
        name: A registered id (``CartPole-v1``), a registered id behind the module that
            registers it (``my_package:MyEnv-v0``), a class (``my_package.envs:MyEnv``) or a
            class in a file (``my_env.py:MyEnv``).
        max_episode_steps: Time limit instead of the registered one.

    Raises:
        ConfigError: There is no such environment, module, file or class.
        MissingExtraError: The package that has this environment is not installed.
    """
    _register(name)
    source, separator, attribute = name.rpartition(":")
    if separator:
        module = _module(source, name)
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
    if name.startswith(_BABYAI):
        quiet = WrapperSpec("QuietReset", f"{__name__}:QuietReset", {})
        spec.additional_wrappers = (*spec.additional_wrappers, quiet)
    return spec


class QuietReset(
    gym.Wrapper[Any, Any, Any, Any],
    gym.utils.RecordConstructorArgs,
):
    """Keeps from standard output what BabyAI's levels print while they draw a mission."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset without a word."""
        with contextlib.redirect_stdout(io.StringIO()):
            return super().reset(seed=seed, options=options)


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


def _register(name: str) -> None:
    """Import the package that registers an id, where the id's beginning tells it."""
    if name.startswith(_OWN):
        importlib.import_module("dragoman.tasks")
    if name.startswith(_MINIGRID):
        try:
            importlib.import_module("minigrid")
        except ModuleNotFoundError as error:
            raise MissingExtraError(str(error.name).partition(".")[0], extra="minigrid") from error


def _module(source: str, name: str) -> ModuleType:
    if source.endswith(".py"):
        return _module_from_file(Path(source), name)
    try:
        return importlib.import_module(source)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{name!r}: no module named {source!r}: {error}",
            cure="install the package, or name the file: 'path/to/file.py:Class'",
        ) from error


def _module_from_file(path: Path, name: str) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"{name!r}: there is no file {path}", cure="check the path")
    # Loaded by location, so that the user's folder never enters sys.path and cannot shadow a
    # package; a class keeps one identity however often its file is named.
    spec = importlib.util.spec_from_file_location(f"dragoman_user_{path.stem}", path.resolve())
    if spec is None or spec.loader is None:
        raise ConfigError(f"{name!r}: {path} cannot be imported", cure="name a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
