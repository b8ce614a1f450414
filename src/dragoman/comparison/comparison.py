"""A comparison: arms x seeds of one experiment, as frozen data, and the folder it leaves behind.

comparison.yaml     the comparison, with everything that was added by itself
ARM/SEED/           a run folder, see `dragoman.run`, and beside its files
    evaluation.json what the trained agent earned on unseen episodes, greedy and sampled
    error.txt       why the run failed, instead
random.json         what the uniformly random policy earned on the same episodes
results.json        scores, costs and verdicts
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar

import numpy as np
import pydantic
from numpy.typing import NDArray

from dragoman.errors import ConfigError, RunError, did_you_mean
from dragoman.experiment import Experiment, plain, with_overrides
from dragoman.experiment.budget import Measure
from dragoman.run import Run, write_text
from dragoman.yaml12 import dump, read_mapping, refuse_yes_no

Precision: TypeAlias = Literal["float32", "bfloat16"]
Kind: TypeAlias = Literal["arm", "control", "baseline"]
Progress: TypeAlias = Literal[
    "missing", "running", "unevaluated", "finished", "interrupted", "failed"
]
T = TypeVar("T")

FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
FILE_NAME = "comparison.yaml"


@dataclass(frozen=True)
class Arm:
    """One side of a comparison.

    Attributes:
        kind: An ``arm`` is judged, against the one ``baseline`` and every ``control``.
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
class Evaluated:
    """How trained agents are evaluated.

    Attributes:
        episodes: Unseen episodes of each run.
        sampled: Play them again with actions drawn from the policy, beside the greedy ones.
        env_settings: What of the environment's settings differs from the training's, such as
            objects or missions that were held out from it.
    """

    episodes: int = 50
    sampled: bool = True
    env_settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        refuse_yes_no(self.env_settings, "evaluation.env_settings")


@dataclass(frozen=True)
class BestKnown:
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
    """

    # Read by pydantic for this class and those inside it: an unknown key is an error.
    __pydantic_config__: ClassVar[pydantic.ConfigDict] = pydantic.ConfigDict(extra="forbid")

    name: str
    base: Mapping[str, Any]
    arms: Mapping[str, Arm]
    seeds: tuple[int, ...]
    evaluation: Evaluated = Evaluated()
    budget: Measure = "steps"
    threshold: float | None = None
    reference: BestKnown = BestKnown()
    precision: Precision | None = None

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
        if self.evaluation.episodes < 1:
            raise ConfigError(
                f"evaluation.episodes is {self.evaluation.episodes}, but must be at least 1",
                cure="raise it",
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
            found = Experiment.from_dict(with_overrides(self.base, self.arms[arm].overrides))
        except ConfigError as error:
            raise ConfigError(f"arm {arm!r}: {error.problem}", cure=error.cure) from error
        if self.precision is not None and found.model.dtype == "auto":
            return found.replaced({"model.dtype": self.precision})
        return found


class ComparisonFolder:
    """The folder of a comparison, opened for reading; neither needs nor loads a model.

    Args:
        path: The folder.

    Raises:
        RunError: It is missing or holds no comparison.

    Attributes:
        comparison: What is compared.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / FILE_NAME).is_file():
            raise RunError(
                f"{self.path} has no {FILE_NAME}: it is no folder of a comparison",
                cure="name the folder that 'dragoman compare --out' has made",
            )
        self.comparison = Comparison.from_yaml(self.path / FILE_NAME)

    def __repr__(self) -> str:
        return f"ComparisonFolder({str(self.path)!r})"

    def arms(self) -> Mapping[str, Arm]:
        """Return the arms by name."""
        return self.comparison.arms

    def run_folder(self, arm: str, seed: int) -> Path:
        """Return where a run is, or will be."""
        return self.path / arm / str(seed)

    def status(self, arm: str, seed: int) -> Progress:
        """Return how far a run has come; ``finished`` means trained and evaluated.

        A run that still says ``running`` after its process was killed is told apart by nobody.
        """
        folder = self.run_folder(arm, seed)
        if not folder.is_dir():
            return "missing"
        if (folder / "error.txt").is_file():
            return "failed"
        try:
            status = Run(folder).status
        except (ConfigError, RunError):
            return "interrupted"
        if status == "finished" and not (folder / "evaluation.json").is_file():
            return "unevaluated"
        return status

    def runs(self, arm: str) -> dict[int, Run]:
        """Return the finished runs of an arm by seed."""
        return {
            seed: Run(self.run_folder(arm, seed))
            for seed in self.comparison.seeds
            if self.status(arm, seed) == "finished"
        }

    def evaluation(self, arm: str, seed: int) -> dict[str, Any]:
        """Return what ``evaluation.json`` of a finished run says."""
        return read_json(self.run_folder(arm, seed) / "evaluation.json")

    def scores(self, arm: str, *, sampled: bool = False) -> dict[int, float]:
        """Return the mean evaluated return of each finished run by seed.

        Args:
            arm: Name of the arm.
            sampled: Of actions drawn from the policy instead of the likeliest ones.
        """
        key = "sampled_returns" if sampled else "returns"
        found = {seed: self.evaluation(arm, seed)[key] for seed in self.runs(arm)}
        return {seed: float(np.mean(returns)) for seed, returns in found.items() if returns}

    def curve(
        self, arm: str, seed: int, *, bins: int = 60
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return steps and mean returns of the training episodes of a run, see `Run.curve`."""
        return Run(self.run_folder(arm, seed)).curve(bins)

    def costs(self, arm: str, seed: int) -> dict[str, float]:
        """Return what a run has cost: tokens, texts, seconds, gigaflops, steps."""
        run = Run(self.run_folder(arm, seed))
        row = run.last_metrics()
        costs = {name: float(row.get(column) or 0) for name, column in COSTS.items()}
        return {**costs, "steps": float(run.steps)}

    def random(self) -> dict[str, Any] | None:
        """Return what ``random.json`` says, once the random policy has played."""
        file = self.path / "random.json"
        return read_json(file) if file.is_file() else None

    def random_score(self) -> float | None:
        """Return the mean return of the random policy, once it has played."""
        random = self.random()
        return None if random is None else float(np.mean(random["returns"]))


COSTS = {
    "tokens": "model/tokens",
    "texts": "model/texts",
    "texts_remembered": "model/texts_remembered",
    "seconds": "time/seconds",
    "model_seconds": "time/model_seconds",
    "gigaflops": "model/gigaflops",
}
"""What the cost table calls them, and their columns in the metrics."""


def validated(adapter: pydantic.TypeAdapter[T], data: Any, kind: type[Any]) -> T:
    """Return data as the adapter's type, refusing in one sentence what does not fit."""
    try:
        return adapter.validate_python(data)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "unexpected_keyword_argument":
            known = [one.name for one in fields(kind)]
            problem = f"unknown key {key!r}{did_you_mean(str(first['loc'][-1]), known)}"
        elif first["type"] == "missing":
            problem = f"the key {key!r} is required"
        else:
            problem = f"{key} is {first['input']!r}: {first['msg']}"
        raise ConfigError(problem, cure="docs/comparing.md lists every key") from None


def read_json(file: Path) -> dict[str, Any]:
    """Return the mapping that a JSON file holds."""
    try:
        data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            f"{file} cannot be read: {error}", cure="remove its folder and compare again"
        ) from error
    return data


def keep(folder: str | Path, comparison: Comparison) -> ComparisonFolder:
    """Write a comparison into its folder, or let the one that is there grow.

    Seeds and arms may be added to a comparison. What its runs have been trained with may not
    change, since old and new runs would no longer be comparable; a precision that is settled
    stays, whatever machine goes on.

    Raises:
        ConfigError: The folder holds another comparison; the message names the differences.
    """
    path = Path(folder)
    if (path / FILE_NAME).is_file():
        before = ComparisonFolder(path).comparison
        changes = _changes(before, comparison)
        if changes:
            raise ConfigError(
                f"{path} holds another comparison: " + "; ".join(changes),
                cure="compare into another folder with --out, or change the file back",
            )
        seeds = tuple(dict.fromkeys((*before.seeds, *comparison.seeds)))
        comparison = replace(
            comparison, seeds=seeds, precision=before.precision or comparison.precision
        )
    path.mkdir(parents=True, exist_ok=True)
    write_text(path / FILE_NAME, comparison.to_yaml())
    return ComparisonFolder(path)


def _changes(before: Comparison, now: Comparison) -> list[str]:
    old, new = _deciding(before), _deciding(now)
    # Arms may be added, but then all of their keys are new.
    grown = {f"arms.{name}" for name in set(now.arms) - set(before.arms)}
    keys = [key for key in {**old, **new} if not any(key.startswith(f"{one}.") for one in grown)]
    absent = "nothing"
    return [
        f"{key} was {old.get(key, absent)!r} and is {new.get(key, absent)!r}"
        for key in keys
        # By their texts, since NaN is not even equal to itself.
        if repr(old.get(key, absent)) != repr(new.get(key, absent))
    ]


def _deciding(comparison: Comparison) -> dict[str, Any]:
    """Return what decides the runs of a comparison, by dotted key."""
    data = comparison.to_dict()
    arms = {
        name: {"kind": arm["kind"], "overrides": arm["overrides"]}
        for name, arm in data["arms"].items()
    }
    kept = {key: data[key] for key in ("base", "evaluation", "budget")}
    return _flat({**kept, "arms": arms, "first arm": next(iter(arms))})


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


_ADAPTER = pydantic.TypeAdapter(Comparison)
