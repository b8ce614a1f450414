"""Describers of a user's own, named by file or module, or given from Python."""

from __future__ import annotations

import inspect
from typing import Any

from dragoman.describe.environment import describe_env
from dragoman.errors import ConfigError, DragomanError, raised_in
from dragoman.imports import import_name
from dragoman.types import Describer

METHODS = ("observation", "action")


def describer_for(env: Any, use: str | Describer | None = None, **description: Any) -> Describer:
    """Return what puts an environment into words.

    Args:
        env: An environment or a vector environment.
        use: ``module:Name`` or ``file.py:Name`` of a user's own, or the describer itself; that of
            the environment's documentation unless given.
        description: What `describe_env` takes, where ``use`` is not given.

    Raises:
        ConfigError: There is no such describer, or it lacks a method.
    """
    if use is None:
        return describe_env(env, **description)
    return _made(import_name(use), use, env) if isinstance(use, str) else _made(use, use, env)


def _made(found: Any, name: Any, env: Any) -> Describer:
    """Return a describer from its class or a factory, which may take the environment."""
    result: Any = found
    make: Any = found
    if inspect.isclass(found) or inspect.isroutine(found):
        needed = [
            item
            for item in inspect.signature(found).parameters.values()
            if item.default is item.empty and item.kind is item.POSITIONAL_OR_KEYWORD
        ]
        if len(needed) > 1:
            raise ConfigError(
                f"the describer {name} needs {', '.join(item.name for item in needed)}",
                cure="let it take nothing, or the environment alone",
            )
        try:
            result = make(env) if needed else make()
        except DragomanError:
            raise
        except Exception as error:  # the user's code may raise anything
            raise ConfigError(
                f"the describer {name} cannot be made: {type(error).__name__}: {error}, in "
                f"{raised_in(error)}",
                cure="name a class, or a function that takes nothing or the environment and "
                "returns a describer",
            ) from error
    missing = [method for method in METHODS if not callable(getattr(result, method, None))]
    if missing:
        raise ConfigError(
            f"the describer {name} has no method {' and no method '.join(missing)}",
            cure="write observation(self, observation, info) and action(self, action), which "
            "return texts",
        )
    made: Describer = result
    return made
