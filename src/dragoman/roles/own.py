"""Roles of a user's own, named by file or module."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pydantic
from gymnasium.vector import VectorEnv

from dragoman.errors import ConfigError, did_you_mean
from dragoman.imports import import_name
from dragoman.roles.control import Control
from dragoman.roles.role import PROMISES, Context, Models, WrappingRole
from dragoman.settings import misfit


class OwnRole:
    """A role of a user's own, imported when it is first asked for something.

    Args:
        name: What the experiment calls it.
        settings: ``use``, which is ``module:Class`` or ``file.py:Class``, and the role's settings.

    Raises:
        ConfigError: ``use`` is missing, here; or there is no such class, a setting does not fit, or
            the class lacks something that a role has, at the first use.
    """

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        if not isinstance(settings, Mapping) or ":" not in str(settings.get("use", "")):
            raise ConfigError(
                f"roles.{name} is {settings!r}, which names no role",
                cure=f"write 'roles: {{{name}: {{use: my_role.py:MyRole}}}}'",
            )
        self.name = name
        self.use = str(settings["use"])
        self._settings = {key: value for key, value in settings.items() if key != "use"}

    @functools.cached_property
    def role(self) -> WrappingRole:
        """The role with its settings."""
        kind = import_name(self.use)
        if not (inspect.isclass(kind) and is_dataclass(kind)):
            raise ConfigError(
                f"roles.{self.name}: {self.use} is {kind!r}, which is no dataclass",
                cure="make the role's settings a frozen dataclass",
            )
        known = [field.name for field in fields(kind)]
        for key in self._settings:
            if key not in known:
                raise ConfigError(
                    f"roles.{self.name}: {self.use} has no setting {key!r}"
                    f"{did_you_mean(key, known)}",
                    cure=f"its settings are: {', '.join(known) or 'none'}",
                )
        missing = [name for name in (*PROMISES, "wrap") if not hasattr(kind, name)]
        if missing:
            raise ConfigError(
                f"roles.{self.name}: {self.use} has no {' and no '.join(missing)}",
                cure="give the class what dragoman.roles.role.WrappingRole lists",
            )
        try:
            made: WrappingRole = pydantic.TypeAdapter(kind).validate_python(self._settings)
        except pydantic.ValidationError as error:
            key, problem = misfit(error)
            here = f"roles.{self.name}."
            raise ConfigError(here + problem, cure=f"change {here}{key}") from None
        return made

    @property
    def controls(self) -> tuple[Control, ...]:
        """Its placebos, with the role's own settings under their full keys."""
        return tuple(
            replace(
                control,
                overrides={
                    f"roles.{self.name}{key}" if key.startswith(".") else key: value
                    for key, value in control.overrides.items()
                },
            )
            for control in self.role.controls
        )

    @property
    def prior(self) -> str:
        """One line of what prior knowledge the role hands to the agent."""
        return self.role.prior

    @property
    def uses_model(self) -> bool:
        """Whether its settings ask a language model."""
        return self.role.uses_model

    @property
    def may_use_model(self) -> bool:
        """Whether it may ask the language model: nothing says no without importing it."""
        return True

    def wrap(self, env: VectorEnv[Any, Any, Any], context: Context) -> VectorEnv[Any, Any, Any]:
        """Return the vector environment with this role on it."""
        if not self.uses_model:
            context = replace(context, models=Models(None, context.seed))
        return self.role.wrap(env, context)
