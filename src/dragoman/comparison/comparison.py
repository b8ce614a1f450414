"""A comparison: arms x seeds of one experiment, as frozen data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, TypeVar

import pydantic

from dragoman.errors import ConfigError, did_you_mean
from dragoman.experiment import Experiment, plain, with_overrides
from dragoman.experiment.budget import Measure
from dragoman.roles.role import roles_of
from dragoman.settings import check_fields, misfit
from dragoman.yaml12 import dump, read_mapping, refuse_yes_no

if TYPE_CHECKING:
    from dragoman.comparison.folder import ComparisonFolder

Precision: TypeAlias = Literal["float32", "bfloat16"]
Kind: TypeAlias = Literal["arm", "control", "baseline"]
Play: TypeAlias = Literal["greedy", "sampled"]
"""Whether an agent takes its likeliest action or draws one."""
T = TypeVar("T")

BASELINE = "no-model"
"""Name of the baseline that is added where a user names none."""

FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Arm:
    """One side of a comparison.

    Attributes:
        kind: An ``arm`` is judged, against the one ``baseline`` and the ``control`` arms of the
            roles it uses.
        role: The role that a control belongs to.
        about: One line of what it is.
        prior: One line of what prior knowledge it was given.
        overrides: What differs from the base experiment, by dotted key.
    """

    kind: Kind = "arm"
    role: str | None = None
    about: str = ""
    prior: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationSettings:
    """How trained agents are evaluated.

    Attributes:
        episodes: Unseen episodes of each run.
        sampled: Play them again with actions drawn from the policy, not only greedily.
        judged: Whose returns are the scores: ``greedy`` ones, or ``sampled`` ones, where the
            likeliest action alone may lead in a circle, as it does without a memory. Shifts are
            played in the same way.
        env_settings: What of the environment's settings differs from the training's, such as
            objects or missions that were held out from it.
        shifts: Changes by name under which agents are played again, such as held-out objects or
            other words, see `dragoman.experiment.shift`: what each arm loses by them.
    """

    episodes: int = 50
    sampled: bool = True
    judged: Play = "greedy"
    env_settings: Mapping[str, Any] = field(default_factory=dict)
    shifts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self, "evaluation")
        for name, shift in self.shifts.items():
            if not shift:
                raise ConfigError(
                    f"evaluation.shifts.{name} changes nothing",
                    cure="say what differs, such as {describe.synonyms: {take: grab}}",
                )
            if not FOLDER_NAME.fullmatch(name):
                raise ConfigError(
                    f"{name!r} cannot name a shift", cure="use letters, digits, '.', '_' and '-'"
                )
        refuse_yes_no(self.env_settings, "evaluation.env_settings")
        if self.judged == "sampled" and not self.sampled:
            raise ConfigError(
                "evaluation.judged is 'sampled', but evaluation.sampled is false",
                cure="set evaluation.sampled to true",
            )
        if self.episodes < 1:
            raise ConfigError(
                f"evaluation.episodes is {self.episodes}, but must be at least 1", cure="raise it"
            )

    def changes(self, shift: str | None = None) -> dict[str, Any]:
        """Return what differs from the training, and under a shift too, as `shifted` reads it."""
        own = {f"env_settings.{key}": value for key, value in self.env_settings.items()}
        return own if shift is None else {**own, **self.shifts[shift]}


@dataclass(frozen=True)
class Reference:
    """The best return that is known for the task.

    Attributes:
        best_known: Mean return of an episode.
        source: Where the number comes from.
    """

    best_known: float | None = None
    source: str = ""


@dataclass(frozen=True)
class Comparison:
    """Arms x seeds of one experiment.

    Attributes:
        name: What it is called.
        base: The experiment that all arms start from, as plain data.
        arms: The arms by name, the first of which sets the budget.
        seeds: Training seeds, the same for all arms.
        evaluation: How trained agents are evaluated.
        budget: What is equal in all arms.
        threshold: Return that counts as solved; results say how many steps each run took to it.
        reference: Best known return.
        precision: What ``model.dtype: auto`` means in every arm, settled when the first run
            starts; ``None`` before that, and where no arm leaves it open.
        engine: Name of the training library, as run folders have it.
    """

    # Read by pydantic for this class and those inside it: an unknown key is an error.
    __pydantic_config__: ClassVar[pydantic.ConfigDict] = pydantic.ConfigDict(extra="forbid")

    name: str
    base: Mapping[str, Any]
    arms: Mapping[str, Arm]
    seeds: tuple[int, ...]
    evaluation: EvaluationSettings = EvaluationSettings()
    budget: Measure = "steps"
    threshold: float | None = None
    reference: Reference = Reference()
    precision: Precision | None = None
    engine: str = "sb3"

    def __post_init__(self) -> None:
        for name in self.arms:
            if not FOLDER_NAME.fullmatch(name):
                raise ConfigError(
                    f"{name!r} cannot name an arm, since it names a folder",
                    cure="use letters, digits, '.', '_' and '-'",
                )
        baselines = [name for name, arm in self.arms.items() if arm.kind == "baseline"]
        if len(baselines) != 1 or not any(arm.kind == "arm" for arm in self.arms.values()):
            raise ConfigError(
                f"a comparison needs an arm and one baseline, but the arms are {list(self.arms)} "
                f"and the baselines {baselines}",
                cure="give an arm that uses a role of the model, and at most one baseline",
            )
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(
                f"the seeds are {list(self.seeds)}", cure="give at least one, and each once"
            )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Comparison:
        """Build a comparison from plain data, refusing what does not fit."""
        return validated(_ADAPTER, data, cls)

    @classmethod
    def from_yaml(cls, path: str | Path) -> Comparison:
        """Read what `to_yaml` wrote."""
        return cls.from_dict(read_mapping(Path(path), "comparison", first="base: experiment.yaml"))

    @classmethod
    def open(cls, folder: str | Path) -> ComparisonFolder:
        """Open the folder of a comparison for reading."""
        from dragoman.comparison.folder import ComparisonFolder

        return ComparisonFolder(folder)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that `from_dict` turns into an equal comparison."""
        return plain(_ADAPTER, self)

    def to_yaml(self) -> str:
        """Return YAML text that `from_yaml` reads back as an equal comparison."""
        return dump(self.to_dict())

    @property
    def baseline(self) -> str:
        """Name of the arm that the others are measured against."""
        return next(name for name, arm in self.arms.items() if arm.kind == "baseline")

    def experiment(self, arm: str) -> Experiment:
        """Return the experiment of an arm, in the comparison's precision where that is settled.

        Raises:
            ConfigError: Its overrides do not fit the base experiment.
        """
        try:
            experiment = Experiment.from_dict(with_overrides(self.base, self.arms[arm].overrides))
        except ConfigError as error:
            raise ConfigError(f"arm {arm!r}: {error.problem}", cure=error.cure) from error
        if self.precision is not None and experiment.model.dtype == "auto":
            return experiment.replaced({"model.dtype": self.precision})
        return experiment

    def opponents(self, arm: str) -> list[str]:
        """Return the baseline, then the controls of the roles that a judged arm uses itself."""
        roles = roles_of(self.experiment(arm))
        controls = (name for name, value in self.arms.items() if value.kind == "control")
        return [self.baseline, *(name for name in controls if self.arms[name].role in roles)]


def validated(adapter: pydantic.TypeAdapter[T], data: Any, kind: type[Any]) -> T:
    """Return data as the adapter's type, refusing in one sentence what does not fit."""
    try:
        return adapter.validate_python(data)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        key, problem = misfit(error)
        if first["type"] == "unexpected_keyword_argument":
            known = [item.name for item in fields(kind)]
            problem = f"unknown key {key!r}{did_you_mean(str(first['loc'][-1]), known)}"
        elif first["type"] == "missing":
            problem = f"the key {key!r} is required"
        names = ", ".join(item.name for item in fields(kind))
        raise ConfigError(problem, cure=f"the keys are: {names}") from None


_ADAPTER = pydantic.TypeAdapter(Comparison)
