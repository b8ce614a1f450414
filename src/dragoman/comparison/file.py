"""The user's file of a comparison: arms as differences, and all that is added to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pydantic

from dragoman.comparison.comparison import (
    BASELINE,
    Arm,
    Comparison,
    EvaluationSettings,
    Reference,
    validated,
)
from dragoman.errors import ConfigError, did_you_mean
from dragoman.experiment import Experiment, with_overrides
from dragoman.experiment.budget import Measure
from dragoman.experiment.source import (
    COMPARED,
    COMPARED_STEPS,
    RECIPE,
    STARTER,
    Source,
    name_of,
    read_source,
    recipe_file,
)
from dragoman.models.taught import Taught
from dragoman.roles.control import Control
from dragoman.roles.role import roles_of
from dragoman.settings import RANGE
from dragoman.tasks.catalog import TASKS, scores_of

SEEDS = 10
ONE_TASK = ("env", "env_settings", "max_episode_steps")
"""Keys that no arm may change: returns of different tasks cannot be compared."""


@dataclass(frozen=True)
class ComparisonFile:
    """What a user writes.

    Attributes:
        base: Path of an experiment, from this file or from the working folder; or the experiment.
        set: Values that replace the base's in all arms, by dotted key, as ``--set`` does.
        arms: Differences from the base by dotted key, and ``about`` and ``prior`` if wanted.
        name: What the comparison is called; the file's name unless given.
        seeds: Training seeds as a list or as ``0-9``, or how many.
        controls: Whether each role's controls are added, or the names of those that are.
        baseline: The arm that the others are measured against, instead of ``no-model``.
        evaluation: How trained agents are evaluated.
        budget: What is equal in all arms.
        threshold: Return that counts as solved; results say how many steps each run took to it.
        reference: Best known return.
    """

    __pydantic_config__: ClassVar[pydantic.ConfigDict] = pydantic.ConfigDict(extra="forbid")

    base: str | Mapping[str, Any]
    set: Mapping[str, Any] = field(default_factory=dict)
    arms: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"model": {}})
    name: str | None = None
    seeds: Annotated[int | tuple[int, ...], RANGE] = SEEDS
    controls: bool | tuple[str, ...] = True
    baseline: str | None = None
    evaluation: EvaluationSettings = EvaluationSettings()
    budget: Measure = "steps"
    threshold: float | None = None
    reference: Reference = Reference()


def read_comparison(
    source: Source,
    *,
    overrides: Mapping[str, Any] | None = None,
    seeds: int | None = None,
    budget: Measure | None = None,
) -> Comparison:
    """Read what a user wants compared, and add baseline and controls.

    Args:
        source: A comparison's file or ``recipe:NAME``, or the ``comparison.yaml`` of a folder. An
            experiment, or what else `dragoman.experiment.source.read_experiment` takes, is compared
            with all its controls; an environment alone with fewer steps and episodes, so that it
            takes minutes.
        overrides: Values that replace the base experiment's, by dotted key.
        seeds: Number of seeds, instead of the file's.
        budget: What is equal in all arms, instead of the file's.

    Raises:
        ConfigError: A key or value does not fit, or there is nothing to compare.
    """
    source = getattr(source, "experiment", source)  # of a run
    data = source.to_dict() if isinstance(source, Experiment) else read_source(source)
    if "base" not in data and "env" in data:
        # What an environment alone is trained with has four arms here, and many seeds.
        is_starter = data == {"env": data["env"], **STARTER}
        data = (
            {"base": {**data, "steps": COMPARED_STEPS}, **COMPARED}
            if is_starter
            else {"base": data}
        )
    given = {"seeds": seeds, "budget": budget}
    data |= {key: value for key, value in given.items() if value is not None}
    if "precision" in data:
        return _stored(data, overrides or {})
    read = validated(_ADAPTER, data, ComparisonFile)
    base = with_overrides(_base(read.base, _folder(source)), {**read.set, **(overrides or {})})
    model = base.get("model")
    if isinstance(model, Mapping | None) and "disk_cache" not in (model or {}):
        # Seeds share their texts. But whoever reads a text first would pay for all the others.
        base["model"] = {**(model or {}), "disk_cache": read.budget == "steps"}
    experiment = Experiment.from_dict(base)
    arms = all_arms(experiment, read.arms, read.controls, read.baseline)
    taught = _taught(experiment, arms)
    return Comparison(
        name=read.name or _name(source, experiment),
        base=experiment.to_dict(),
        arms=arms,
        seeds=tuple(range(read.seeds)) if isinstance(read.seeds, int) else read.seeds,
        evaluation=read.evaluation,
        budget=read.budget,
        threshold=read.threshold,
        reference=_reference(read, experiment, taught),
    )


def _stored(data: dict[str, Any], overrides: Mapping[str, Any]) -> Comparison:
    """Return what the ``comparison.yaml`` of a folder holds, of which nothing is left open."""
    if isinstance(data["seeds"], int):
        data["seeds"] = tuple(range(data["seeds"]))
    return Comparison.from_dict({**data, "base": with_overrides(data["base"], overrides)})


def _taught(base: Experiment, arms: Mapping[str, Arm]) -> Taught | None:
    """Return what the first arm that begins from a taught model was taught by.

    Raises:
        RunError: A folder that an arm begins from is missing.
        ConfigError: It has no random weights that were taught too.
    """
    found = []
    for name, arm in arms.items():
        act = base.replaced(arm.overrides).act
        if act is None or act.init is None:
            continue
        if name.endswith("taught-random-weights") and not Path(act.init).is_dir():
            raise ConfigError(
                f"the control {name!r} begins from {act.init!r}, which is not there",
                cure="teach again with --control, or name under 'controls' those that are to run",
            )
        found.append(Taught.read(act.init))
    return found[0] if found else None


def _reference(read: ComparisonFile, experiment: Experiment, taught: Taught | None) -> Reference:
    """Return the file's best known return; where it says none, the teacher's or the catalogue's."""
    if read.reference.best_known is None and taught and taught.teacher["mean"] is not None:
        teacher = taught.teacher
        return Reference(teacher["mean"], f"the teacher, {teacher['episodes']} episodes")
    settings = {**experiment.env_settings, **read.evaluation.env_settings}
    if read.reference.best_known is None and experiment.max_episode_steps is None:
        for task in TASKS:
            if (task.id, task.settings) == (experiment.env, settings):
                _, score = scores_of(task)
                return Reference(score.mean, f"{task.reference}, {score.episodes} episodes")
    return read.reference


def all_arms(
    base: Experiment,
    arms: Mapping[str, Mapping[str, Any]],
    controls: bool | tuple[str, ...] = True,
    baseline: str | None = None,
) -> dict[str, Arm]:
    """Return the user's arms, the baseline, and the controls of every role in use.

    The controls of a role are made from the first arm that uses it, so that they have all else
    of it. The baseline is the first arm without any role.

    Args:
        base: What all arms start from.
        arms: The user's arms.
        controls: Whether controls are added, or the names of those that are.
        baseline: The user's arm that the others are measured against, if any.

    Raises:
        ConfigError: An arm does not fit the base, no arm uses a role, or a name is taken.
    """
    written = {name: _written(name, arm, base) for name, arm in arms.items()}
    users: dict[str, tuple[Arm, Any]] = {}
    for arm in written.values():
        for role, settings in roles_of(base.replaced(arm.overrides)).items():
            users.setdefault(role, (arm, settings))
    result = dict(written)
    if baseline is not None:
        if baseline not in written:
            raise ConfigError(
                f"the baseline {baseline!r} is no arm{did_you_mean(baseline, written)}",
                cure=f"name one of {list(written)}",
            )
        result[baseline] = replace(written[baseline], kind="baseline")
    else:
        _add(result, BASELINE, _no_model(next(iter(written.values())), users))
    available = [
        (role, arm, control)
        for role, (arm, settings) in users.items()
        for control in settings.controls
    ]
    _check_controls(controls, [control for _, _, control in available])
    for role, arm, control in available:
        if controls is True or (controls and control.name in controls):
            # Two roles may call a control alike, though each means its own.
            name = control.name if control.name not in result else f"{role}-{control.name}"
            added = _as_arm(control, role, arm, base)
            # Roles that share the model share its placebos: one training serves them all.
            if all(added.overrides != other.overrides for other in result.values()):
                _add(result, name, added)
    return result


def _folder(source: Source) -> Path:
    """Return the folder that a base experiment's path starts from."""
    if not isinstance(source, str | Path):
        return Path()
    is_recipe = str(source).startswith(RECIPE)
    return (recipe_file(str(source)) if is_recipe else Path(source)).parent


def _name(source: Source, experiment: Experiment) -> str:
    return name_of(source if isinstance(source, str | Path) else experiment.env)


def _base(base: str | Mapping[str, Any], folder: Path) -> dict[str, Any]:
    if isinstance(base, Mapping):
        return dict(base)
    places = [folder / base, Path(base)]
    for place in places:
        if place.is_file():
            return read_source(place)
    raise ConfigError(
        f"there is no base experiment {base!r}: neither {places[0]} nor {places[1]} is a file",
        cure="give its path, from the comparison's file or from the working folder",
    )


def _written(name: str, arm: Mapping[str, Any], base: Experiment) -> Arm:
    overrides = {key: value for key, value in arm.items() if key not in ("about", "prior")}
    for key in overrides:
        if key.split(".")[0] in ONE_TASK:
            raise ConfigError(
                f"arm {name!r} changes {key}, so its returns could not be compared",
                cure="make one comparison for each task, and change the task in 'base'",
            )
    try:
        roles = roles_of(base.replaced(overrides))
    except ConfigError as error:
        raise ConfigError(f"arm {name!r}: {error.problem}", cure=error.cure) from error
    differences = ", ".join(f"{key} = {value}" for key, value in overrides.items())
    # Roles may hand over the same, and say it once.
    parts = (part for role in roles.values() for part in role.prior.split("; "))
    prior = "; ".join(dict.fromkeys(parts))
    return Arm(
        about=str(arm.get("about", differences or "the base experiment")),
        prior=str(arm.get("prior", prior or "none: the environment's own observations")),
        overrides=overrides,
    )


def _no_model(first: Arm, users: Mapping[str, Any]) -> Arm:
    if not users:
        raise ConfigError(
            "no arm uses a role of the language model, so 'no-model' would be one of them",
            cure="turn a role on in base or in an arm, as in 'observe: {}', or name one of "
            "the arms as 'baseline'",
        )
    # Settings below a role that is off would have nowhere to go.
    kept = {
        key: value
        for key, value in first.overrides.items()
        if not any(f"{key}.".startswith(f"{role}.") for role in users)
    }
    replaced = {
        role: getattr(settings, "without_model", None) for role, (_, settings) in users.items()
    }
    return Arm(
        kind="baseline",
        about="the same training without a language model",
        prior="none: the environment's own observations",
        overrides={**kept, **replaced},
    )


def _as_arm(control: Control, role: str, arm: Arm, base: Experiment) -> Arm:
    experiment = base.replaced(arm.overrides)
    # Settings below a role that is off would have nowhere to go.
    applicable = {
        key: value
        for key, value in control.overrides.items()
        if getattr(experiment, key.split(".")[0]) is not None
    }
    return Arm(
        kind="control",
        role=role,
        about=control.about,
        prior=control.prior,
        overrides={**arm.overrides, **applicable},
    )


def _add(arms: dict[str, Arm], name: str, arm: Arm) -> None:
    if name in arms:
        raise ConfigError(
            f"an arm is called {name!r}, which is the name of the {arm.kind} that is added",
            cure=f"rename the arm, or leave the {arm.kind} out by 'controls' or 'baseline'",
        )
    arms[name] = arm


def _check_controls(wanted: bool | tuple[str, ...], available: list[Control]) -> None:
    names = [control.name for control in available]
    for name in wanted if isinstance(wanted, tuple) else ():
        if name not in names:
            raise ConfigError(
                f"there is no control {name!r}{did_you_mean(name, names)} of the roles in use",
                cure=f"choose from {names}",
            )


_ADAPTER = pydantic.TypeAdapter(ComparisonFile)
