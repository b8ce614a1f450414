"""What every role says of itself: what it knows, and the placebos that must be beaten.

A role is a field of `dragoman.experiment.Experiment` whose settings keep the promises of `Role`.
A comparison asks the roles in use for their controls.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True)
class Control:
    """An experiment that has everything of an arm but the knowledge in the language model.

    Attributes:
        name: Its name among the arms, which is also the name of a folder.
        about: One line of what it is.
        prior: One line of what prior knowledge it was given.
        overrides: What makes an arm its control, by dotted key of the experiment.
    """

    name: str
    about: str
    prior: str
    overrides: Mapping[str, Any]


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


def roles_of(experiment: Any) -> dict[str, Role]:
    """Return the roles in use by the name of their field.

    Args:
        experiment: An `Experiment`, or another dataclass with roles among its fields.
    """
    assert is_dataclass(experiment)
    values = {field.name: getattr(experiment, field.name) for field in fields(experiment)}
    return {name: value for name, value in values.items() if _is_role(value)}


def _is_role(value: Any) -> bool:
    # Before Python 3.12 isinstance would ask for the properties, and so import a user's reward.
    missing = object()
    names = ("controls", "prior", "uses_model")
    return all(inspect.getattr_static(value, name, missing) is not missing for name in names)
