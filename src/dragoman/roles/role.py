"""What every role says of itself, and how it comes into the loop.

A role is a field of `dragoman.experiment.Experiment`, or an entry of its ``roles``, whose settings
keep the promises of `Role`. A comparison asks each for its controls. A training walks over all of
them: those with ``wrap`` stand on the vector environment, one above the other, and those with
``observer`` say what the policy sees of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from gymnasium.vector import VectorEnv, VectorWrapper
from numpy.typing import NDArray

from dragoman.describe.moment import MomentMaker
from dragoman.models.cache import CachedModel
from dragoman.models.spec import ModelSpec
from dragoman.roles.control import Control
from dragoman.types import LanguageModel

PROMISES = ("controls", "prior", "uses_model")


class Models:
    """The language models of one training: the experiment's, and those that roles name.

    Each is loaded once, and has one memory of its answers for all roles that ask it.

    Args:
        model: The experiment's, if it has one.
        seed: Seed of the training, which draws random weights.

    Attributes:
        seed: The same.
        asked: Those that roles have asked for: their cost is the run's.
    """

    def __init__(self, model: LanguageModel | None, seed: int) -> None:
        self.asked: list[LanguageModel] = []
        self._model = remembering(model)
        self.seed = seed
        self._named: list[tuple[ModelSpec, LanguageModel]] = []

    def of(self, named: ModelSpec | None = None) -> LanguageModel | None:
        """Return the model that a role names, or the experiment's where it names none."""
        model = self._model if named is None else self._load(named)
        if model is not None and not any(model is item for item in self.asked):
            self.asked.append(model)
        return model

    def _load(self, named: ModelSpec) -> LanguageModel:
        for spec, model in self._named:
            if spec == named:
                return model
        self._named.append((named, named.load(self.seed)))
        return self._named[-1][1]


def remembering(model: LanguageModel | None) -> CachedModel | None:
    """Return a language model with one memory for all roles that ask it, or nothing."""
    return model if model is None or isinstance(model, CachedModel) else CachedModel(model)


@dataclass(frozen=True)
class Context:
    """What a role may need of the training that it is part of.

    Attributes:
        models: The language models.
        moments: Makes the moments that stand in ``infos["moment"]``.
        gamma: The learner's discount.
    """

    models: Models
    moments: MomentMaker
    gamma: float

    @property
    def model(self) -> LanguageModel | None:
        """The experiment's language model, where a role uses it."""
        return self.models.of()

    @property
    def seed(self) -> int:
        """Seed of the training."""
        return self.models.seed


class Notes(Protocol):
    """The run folder, as a role sees it.

    Attributes:
        path: The folder.
    """

    path: Path

    def document(self, name: str, content: Mapping[str, Any]) -> None:
        """Write ``name``, a JSON file."""
        ...

    def append(self, name: str, row: Mapping[str, Any]) -> None:
        """Append a row to ``name``, a JSON Lines file."""
        ...


class RoleVector(VectorWrapper):
    """A role on the vector environment. Subclass it, and define what you need.

    Attributes:
        resumes: Names of its attributes that a resumed training has again: numbers, texts, arrays,
            modules and optimisers of PyTorch, generators of NumPy, collections of these, and
            objects with ``resumes`` of their own. What `reset` makes anew need not be among them:
            a resumed training resets the environment.
    """

    resumes: ClassVar[tuple[str, ...]] = ()

    def prepare(self, sample: Callable[[int], list[str]], notes: Notes) -> None:
        """Find out before the training what must be known in it.

        Args:
            sample: Plays so many steps at random and returns the texts of the states.
            notes: Where that is kept with the run.
        """

    def metrics(self) -> Mapping[str, float]:
        """Return columns of the next row of the metrics."""
        return {}

    def drain(self) -> Iterator[Mapping[str, float]] | None:
        """Return columns of each episode that finished since the last call, if there are any.

        Episodes come in the order in which they ended, by number of the environment within a step.
        The metrics hold their means over the last episodes.
        """
        return None

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return what is saved with the weights."""
        return {}

    def restore(self, state: Mapping[str, NDArray[Any]], notes: Notes) -> None:
        """Take back what `state` returned, instead of preparing: a training is resumed."""

    def forget(self) -> None:
        """Forget what is remembered of texts only to save time: a checkpoint is taken."""


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
        """Return the vector environment with this role on it: a `RoleVector`, or any wrapper."""
        ...


class ObservingRole(Role, Protocol):
    """A role that says what the policy sees."""

    def observer(self, env: VectorEnv[Any, Any, Any], models: Models, below: Any) -> Any:
        """Return what makes of a moment what the policy sees.

        Args:
            env: The vector environment, for its spaces.
            models: The language models.
            below: The `dragoman.roles.observe.observer.AnyObserver` of the roles before this one,
                or nothing.
        """
        ...


def roles_of(experiment: Any) -> dict[str, Role]:
    """Return the roles in use: by the name of their field, those of a user's own by ``roles.NAME``.

    Args:
        experiment: An `Experiment`, or another dataclass with roles among its fields.
    """
    assert is_dataclass(experiment)
    values = {field.name: getattr(experiment, field.name) for field in fields(experiment)}
    result = {name: value for name, value in values.items() if _is_role(value)}
    own = getattr(experiment, "own_roles", {})
    return {**result, **{f"roles.{name}": role for name, role in own.items()}}


def _is_role(value: Any) -> bool:
    # Before Python 3.12 isinstance would ask for the properties, and so import a user's reward.
    missing = object()
    return all(inspect.getattr_static(value, name, missing) is not missing for name in PROMISES)
