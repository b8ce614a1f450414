"""Whether an environment, a task, a role or a model keeps its promises."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeAlias

import gymnasium as gym
from gymnasium.utils.env_checker import data_equivalence

from dragoman.engines.assembly import spec_of
from dragoman.engines.check import check
from dragoman.engines.train import train
from dragoman.environments import environment_spec, make_environment
from dragoman.errors import ConfigError, ModelError, SpaceError
from dragoman.experiment import Experiment
from dragoman.imports import import_name
from dragoman.models.catalog import CATALOG, load_model
from dragoman.roles.role import PROMISES
from dragoman.testing import check_model

Kind: TypeAlias = Literal["environment", "role", "model"]

STEPS = 200
"""Random steps that are taken again, to see whether they come out the same."""
TRAINED = {"env": "CartPole-v1", "steps": 128, "num_envs": 2, "observe": None, "track": []}
"""What a role is tried in."""


def kind_of(what: str) -> Kind:
    """Return what a name names.

    Raises:
        ConfigError: It names nothing that is known, or cannot be imported.
    """
    if ":" in what:
        found = import_name(what)
        is_role = inspect.isclass(found) and is_dataclass(found) and hasattr(found, "wrap")
        return (
            "role" if is_role or any(hasattr(found, name) for name in PROMISES) else "environment"
        )
    if what in CATALOG or Path(what).is_dir():
        return "model"
    try:
        environment_spec(what)
    except ConfigError:
        if "/" in what and not what.startswith(("dragoman/", "ALE/", "dm_control/")):
            return "model"  # as the hub calls them
        raise
    return "environment"


def promises_kept(what: str) -> Iterator[str]:
    """Yield each promise that is kept, in a line.

    Args:
        what: An environment or a task, by its id, ``module:Class`` or ``file.py:Class``; a role by
            the latter two; or a model by its name or path.

    Raises:
        DragomanError: A promise is broken, or nothing has this name.
    """
    kind = kind_of(what)
    if kind == "environment":
        yield from _environment(what)
    elif kind == "role":
        yield from _role(what)
    else:
        yield from _model(what)


def _environment(what: str) -> Iterator[str]:
    experiment = Experiment.from_dict({"env": what, "observe": None})
    check(experiment)
    yield "one random episode: all that it hands over fits its spaces and can be read"
    spec = spec_of(experiment)
    first, second = (make_environment(spec, experiment.env_settings) for _ in range(2))
    try:
        one = _played(first)
        _refuse_difference(one, _played(second), "two copies that are reset with one seed differ")
        yield "copies that are reset with one seed are alike, so trainings can be repeated"
        after = "a copy that has been played is not what reset(seed) makes of a new one"
        _refuse_difference(one, _played(first), after)
        yield "reset(seed) decides all that follows, so trainings can be resumed to the bit"
    finally:
        first.close()
        second.close()


def _played(env: gym.Env[Any, Any]) -> list[Any]:
    """Return all that an environment hands over in some random steps, infos aside."""
    env.action_space.seed(0)
    handed = [env.reset(seed=0)[0]]
    while len(handed) <= STEPS:
        *step, _ = env.step(env.action_space.sample())
        handed.append(step)
        if step[2] or step[3]:
            handed.append(env.reset()[0])
    return handed


def _refuse_difference(one: list[Any], other: list[Any], problem: str) -> None:
    pairs = zip(one, other, strict=False)
    differs = (i for i, pair in enumerate(pairs) if not data_equivalence(*pair, exact=True))
    step = next(differs, None)
    if step is not None:
        raise SpaceError(
            f"{problem}, from step {step} on",
            cure="draw from self.np_random alone, which super().reset(seed=seed) sets, and set "
            "everything else in reset()",
        )


def _role(what: str) -> Iterator[str]:
    experiment = Experiment.from_dict({**TRAINED, "roles": {"checked": {"use": what}}})
    check(experiment)
    role = experiment.own_roles["checked"]
    yield f"its settings are read; what it hands to the agent: {role.prior}"
    yield f"its placebos: {', '.join(control.name for control in role.controls) or 'none'}"
    with TemporaryDirectory() as folder:
        train(experiment, out=Path(folder, "run"))
    yield f"it trains on {experiment.env} for {experiment.steps} steps"


def _model(what: str) -> Iterator[str]:
    model = load_model(what)
    try:
        check_model(model, tolerance=5e-2)  # sixteen bits
    except AssertionError as error:
        raise ModelError(f"the model {what!r}: {error}", cure="mend the model") from error
    yield f"it encodes: {model.hidden_size} numbers a text, {model.num_layers} layers"
    yield "its answers depend on no company, order or repetition"
