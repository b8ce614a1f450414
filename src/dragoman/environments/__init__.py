"""Find an environment by its registered id, by ``module:Class`` or by ``file.py:Class``."""

from __future__ import annotations

import contextlib
import copy
import importlib
import importlib.metadata
import inspect
import io
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, cast

import gymnasium as gym
from gymnasium.envs.registration import (
    EnvCreator,
    EnvSpec,
    WrapperSpec,
    load_env_creator,
    parse_env_id,
)

from dragoman.environments.checks import FirstSteps, checked
from dragoman.environments.worlds import world_spec
from dragoman.errors import ConfigError, DragomanError, MissingExtraError, did_you_mean, raised_in
from dragoman.imports import import_module

_OWN = "dragoman/"
"""Namespace of the built-in tasks, which are registered when their package is imported."""
_OURS = "dragoman."
"""Beginning of the entry points of our wrappers."""
_BABYAI = "BabyAI-"
_PACKAGES: Mapping[tuple[str, ...], tuple[str, str]] = {
    ("ALE/",): ("ale_py", "dragoman[atari]"),
    (_BABYAI, "MiniGrid-"): ("minigrid", "dragoman[minigrid]"),
    ("Adroit", "AntMaze_", "Fetch", "FrankaKitchen", "HandManipulate", "HandReach", "PointMaze_"): (
        "gymnasium_robotics",
        "gymnasium-robotics",
    ),
    ("MiniWorld-",): ("miniworld", "miniworld"),
    ("highway-", "intersection-", "merge-", "parking-", "racetrack-", "roundabout-"): (
        "highway_env",
        "highway-env",
    ),
    ("dm_control/",): ("shimmy", "shimmy[dm-control]"),
}
"""Beginnings of ids, with the package that registers them when it is imported and how to get it."""

_ENDLESS = ("CliffWalkingEnv", "CliffWalkingJaxEnv")
"""Classes whose episodes end only where the agent finds the end.

Others without a registered limit end by themselves, such as games of cards and MiniGrid's tasks.
"""

_BEFORE_MUJOCO_4 = "gymnasium_robotics."
"""Package whose robot arms and hands ask MuJoCo for addresses as before its version 4."""


def as_environment(env: Any) -> gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any]:
    """Return an environment, made where it is a name.

    Raises:
        ConfigError: It is neither, or there is none of this name.
    """
    if isinstance(env, str | EnvSpec):
        return make_environment(environment_spec(env if isinstance(env, str) else env.id), {})
    if not isinstance(env, gym.Env | gym.vector.VectorEnv):
        raise ConfigError(
            f"{env!r} is no environment",
            cure="give one, such as gymnasium.make('CartPole-v1'), or an id, module:Class or "
            "file.py:Class",
        )
    return env


def environment_spec(
    name: str, *, max_episode_steps: int | None = None, keep_mask: bool = False
) -> EnvSpec:
    """Return the specification of an environment, with its masks read by `ReadMasks`.

    Args:
        name: A registered id (``CartPole-v1``), a registered id behind the module that
            registers it (``my_package:MyEnv-v0``), one of another suite
            (``reasoning-gym:chain_sum``, see `dragoman.environments.worlds`), a class
            (``my_package.envs:MyEnv``) or a class in a file (``my_env.py:MyEnv``).
        max_episode_steps: Time limit instead of the registered one.
        keep_mask: Leave a mask of the actions in the observation, where it stands there.

    Raises:
        ConfigError: There is no such environment, module, file or class.
        MissingExtraError: The package that has this environment is not installed.
    """
    spec = _found(name, max_episode_steps)
    masks = WrapperSpec("ReadMasks", "dragoman.describe.masks:ReadMasks", {"keep": keep_mask})
    spec.additional_wrappers = (*spec.additional_wrappers, masks)
    return spec


def _found(name: str, max_episode_steps: int | None) -> EnvSpec:
    world = world_spec(name, max_episode_steps)
    if world is not None:
        return world
    _register(name)
    source, separator, attribute = name.rpartition(":")
    result: Any = None
    if separator:
        module = import_module(source, name)
        result = getattr(module, attribute, None)
        if inspect.isclass(result) and issubclass(result, gym.Env):
            return EnvSpec(
                id=f"{result.__name__}-v0",
                entry_point=cast(EnvCreator, result),
                max_episode_steps=max_episode_steps,
            )
    _refuse_replaced(attribute if separator else name)
    try:
        # A copy, because Gymnasium hands out the registry's own object.
        spec = copy.deepcopy(gym.spec(attribute if separator else name))
    except gym.error.Error as error:
        if inspect.isclass(result):
            raise ConfigError(
                f"{name!r}: {attribute!r} is a class, but not of gymnasium.Env; it derives from "
                f"{', '.join(f'{base.__module__}.{base.__name__}' for base in result.__bases__)}",
                cure=f"write 'import gymnasium as gym' and derive from gym.Env in {source}",
            ) from error
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


def refuse_endless(spec: EnvSpec) -> None:
    """Refuse to train where an episode may go on for ever.

    Raises:
        ConfigError: The environment is known to end only at its goal, and has no time limit.
    """
    if spec.max_episode_steps is None and _class_name(spec) in _ENDLESS:
        raise ConfigError(
            f"an episode of {spec.id!r} has no time limit: an agent that never finds the goal "
            "never begins another",
            cure="set max_episode_steps: 200 in the experiment",
        )


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
    *,
    index: int = 0,
    leaves_bounds: Callable[[str], bool] | None = None,
) -> gym.Env[Any, Any]:
    """Make one environment, in which every number that it hands over is checked.

    Args:
        spec: What `environment_spec` returned.
        settings: Keyword arguments of the environment's constructor.
        index: Its place among those that are stepped together, for messages.
        leaves_bounds: As in `dragoman.environments.checks.Checked`.

    Raises:
        ConfigError: The environment refuses the settings, needs a package that is missing, or
            does not work with the version of one that is installed.
    """
    try:
        return _made(spec, _whole(spec, settings or {}), index, leaves_bounds)
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
    except ImportError as error:
        newest = _newest(spec.id)
        raise ConfigError(
            f"environment {spec.id!r} cannot be imported: {error}",
            cure=f"use {newest!r}" if newest != spec.id else "install the package it names",
        ) from error
    except AssertionError as error:
        if not str(spec.entry_point).startswith(_BEFORE_MUJOCO_4) or _mujoco() < (4,):
            raise _not_made(spec, error) from error
        raise ConfigError(
            f"environment {spec.id!r} of gymnasium-robotics {_version('gymnasium-robotics')} does "
            f"not work with MuJoCo {_version('mujoco')}: it looks up joints as before MuJoCo 4",
            cure="install 'mujoco<4', in an environment of its own if others need MuJoCo 4",
        ) from error
    except DragomanError:
        raise
    # The constructor is the user's code, and may raise anything.
    except Exception as error:
        raise _not_made(spec, error) from error


def _not_made(spec: EnvSpec, error: Exception) -> ConfigError:
    """Return the error of an environment whose constructor has failed."""
    return ConfigError(
        f"environment {spec.id!r} cannot be made: {type(error).__name__}: {error}, in "
        f"{raised_in(error)}",
        cure="mend its constructor; an environment sets action_space and observation_space there",
    )


def _whole(spec: EnvSpec, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in which ``1e3`` is a whole number where the constructor wants one."""
    entry = spec.entry_point
    creator: Any = load_env_creator(entry) if isinstance(entry, str) else entry
    result = dict(settings)
    parameters: Mapping[str, inspect.Parameter] = {}
    with contextlib.suppress(TypeError, ValueError):  # not everything that can be called has one
        parameters = inspect.signature(creator).parameters
    for name, parameter in parameters.items():
        value, default = result.get(name), parameter.default
        wants = isinstance(default, int) and not isinstance(default, bool)
        wants |= parameter.annotation in (int, "int", int | None, "int | None")
        if wants and isinstance(value, float) and value.is_integer():
            result[name] = int(value)
    return result


def _made(
    spec: EnvSpec,
    settings: Mapping[str, Any],
    index: int,
    leaves_bounds: Callable[[str], bool] | None,
) -> gym.Env[Any, Any]:
    """Make an environment with checks between its registered wrappers and those that we add.

    Gymnasium would leave some of ours out where the entry point brings wrappers of its own.
    """
    ours = [
        wrapper for wrapper in spec.additional_wrappers if wrapper.entry_point.startswith(_OURS)
    ]
    plain = copy.copy(spec)
    plain.additional_wrappers = tuple(
        wrapper for wrapper in spec.additional_wrappers if wrapper not in ours
    )
    made = gym.make(plain, disable_env_checker=True, **settings)
    env = checked(made, index, leaves_bounds)
    if not spec.disable_env_checker:
        env = FirstSteps(env)
    for wrapper in ours:
        make: Any = load_env_creator(wrapper.entry_point)
        env = make(env=env, **(wrapper.kwargs or {}))
    return env


def render_without_display() -> None:
    """Let MuJoCo and pygame draw where there is no screen and nothing else has been chosen."""
    has_display = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    if sys.platform == "linux" and not has_display:
        os.environ.setdefault("MUJOCO_GL", "egl")
        # SDL would look for a screen, and print an error where there is none.
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")


def _refuse_replaced(name: str) -> None:
    """Refuse a version that Gymnasium has replaced, before it warns of it and refuses it too."""
    newest = _newest(name)
    if name not in gym.registry and newest != name:
        raise ConfigError(
            f"environment {name!r} is not in Gymnasium {gym.__version__}, which has {newest!r}",
            cure=f"use {newest!r}",
        )


def _newest(name: str) -> str:
    """Return the id of the newest version of an environment, or the name if there is none."""
    try:
        namespace, plain, version = parse_env_id(name)
    except gym.error.Error:
        return name
    versions = [
        spec
        for spec in gym.registry.values()
        if (spec.namespace, spec.name) == (namespace, plain) and version is not None
    ]
    return max(versions, key=lambda spec: spec.version or 0).id if versions else name


def _class_name(spec: EnvSpec) -> str:
    entry = spec.entry_point
    return entry.rpartition(":")[2] if isinstance(entry, str) else getattr(entry, "__name__", "")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(unknown version)"


def _mujoco() -> tuple[int, ...]:
    return tuple(int(part) for part in _version("mujoco").split(".")[:1] if part.isdigit())


def _register(name: str) -> None:
    """Import the package that registers an id, where the id's beginning names it."""
    if name.startswith(_OWN):
        importlib.import_module("dragoman.tasks")
    for beginnings, (package, source) in _PACKAGES.items():
        if not name.startswith(beginnings) or name in gym.registry:
            continue
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            missing = str(error.name).partition(".")[0]
            ours, _, extra = source.removesuffix("]").partition("[")
            if ours == "dragoman":
                raise MissingExtraError(missing, extra=extra) from error
            raise ConfigError(
                f"environment {name!r} comes with {package}, but {missing} is not installed",
                cure=f"pip install '{source}'",
            ) from error
