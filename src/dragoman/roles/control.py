"""What every role says of itself, and how it comes into the loop.

A role is a field of `dragoman.experiment.Experiment`, or an entry of its ``roles``, whose settings
keep the promises of `Role`. A comparison asks each for its controls, and a training lets those of
a user wrap the vector environment.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Protocol, runtime_checkable

import pydantic
from gymnasium.vector import VectorEnv

from dragoman.describe.moment import MomentMaker
from dragoman.errors import ConfigError, did_you_mean
from dragoman.imports import import_name
from dragoman.models.spec import ModelSpec
from dragoman.models.words import WORDS
from dragoman.types import LanguageModel
from dragoman.yaml12 import misfit

_PROMISES = ("controls", "prior", "uses_model")


@dataclass(frozen=True)
class Control:
    """An experiment that has everything of an arm but the knowledge in the language model.

    Attributes:
        name: Its name among the arms, which is also the name of a folder.
        about: One line of what it is.
        prior: One line of what prior knowledge it was given.
        overrides: What makes an arm its control, by dotted key of the experiment. A key that
            begins with a dot is a setting of the role itself.
    """

    name: str
    about: str
    prior: str
    overrides: Mapping[str, Any]


@dataclass(frozen=True)
class Context:
    """What a role may need of the training that it is part of.

    Attributes:
        model: The experiment's language model, where a role uses it.
        moments: Makes the moments that stand in ``infos["moment"]``.
        gamma: The learner's discount.
        seed: Seed of the training.
    """

    model: LanguageModel | None
    moments: MomentMaker
    gamma: float
    seed: int


def random_weights(role: str, model: ModelSpec | None, prior: str) -> tuple[Control, ...]:
    """Return the control of pre-training, where a model's weights can be drawn.

    Args:
        role: Name of the role.
        model: The role's own model; ``None`` where it asks the experiment's.
        prior: What knowledge is left.
    """
    if model is not None and (model.server is not None or model.knows_nothing):
        return ()
    key = "model.weights" if model is None else f"{role}.model.weights"
    about = "the same architecture and tokenizer with random initial weights, drawn by seed"
    return (Control("random-weights", about, prior, {key: "random"}),)


def learned_embedding(
    roles: tuple[str, ...], model: ModelSpec | None, prior: str
) -> tuple[Control, ...]:
    """Return the control of the text itself: words and neighbours, and nothing known of them.

    Args:
        roles: The roles that read through an embedding.
        model: The role's own model; ``None`` where it asks the experiment's.
        prior: What knowledge is left.
    """
    if model is not None and model.knows_nothing:
        return ()
    about = "the same text through an embedding of its words that is trained by rewards alone"
    overrides = {f"{role}.model": WORDS for role in roles}
    return (Control("learned-embedding", about, prior, overrides),)


@runtime_checkable
class Role(Protocol):
    """Settings of one role, or constants of its class where settings make no difference.

    A role that is more than a way to the model may say in ``without_model`` with which settings
    it stays in an arm without a model; others are left out there.
    """

    @property
    def controls(self) -> tuple[Control, ...]:
        """Its placebos: a gain that one of them shows too is not the model's."""
        ...

    @property
    def prior(self) -> str:
        """One line of what prior knowledge the role hands to the agent."""
        ...

    @property
    def uses_model(self) -> bool:
        """Whether these settings ask a language model."""
        ...


class WrappingRole(Role, Protocol):
    """A role that stands on the vector environment, as those of a user do."""

    def wrap(self, env: VectorEnv[Any, Any, Any], context: Context) -> VectorEnv[Any, Any, Any]:
        """Return the vector environment with this role on it.

        The wrapper may have ``metrics()``: numbers by name, for the run's metrics.
        """
        ...


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
        missing = [name for name in (*_PROMISES, "wrap") if not hasattr(kind, name)]
        if missing:
            raise ConfigError(
                f"roles.{self.name}: {self.use} has no {' and no '.join(missing)}",
                cure="give the class what dragoman.roles.control.WrappingRole lists",
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
        return self.role.wrap(env, context)


def roles_of(experiment: Any) -> dict[str, Role]:
    """Return the roles in use: by the name of their field, those of a user's own by ``roles.NAME``.

    Args:
        experiment: An `Experiment`, or another dataclass with roles among its fields.
    """
    assert is_dataclass(experiment)
    values = {field.name: getattr(experiment, field.name) for field in fields(experiment)}
    found = {name: value for name, value in values.items() if _is_role(value)}
    own = getattr(experiment, "own_roles", {})
    return {**found, **{f"roles.{name}": role for name, role in own.items()}}


def _is_role(value: Any) -> bool:
    # Before Python 3.12 isinstance would ask for the properties, and so import a user's reward.
    missing = object()
    return all(inspect.getattr_static(value, name, missing) is not missing for name in _PROMISES)
