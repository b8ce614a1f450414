"""From what a user names to an experiment: a file, a recipe, an environment, or plain data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from dragoman.errors import ConfigError, did_you_mean
from dragoman.experiment import Experiment, with_overrides
from dragoman.imports import class_name
from dragoman.yaml12 import read_mapping

Source: TypeAlias = str | Path | Mapping[str, Any] | Experiment | type[gym.Env[Any, Any]]
"""A YAML file, ``recipe:NAME``, an environment, plain data, a run, or the experiment itself."""

RECIPE = "recipe:"

STARTER: dict[str, Any] = {
    "steps": 12_288,
    "num_envs": 16,
    # Limits are in every text the same, and a third digit is one token more a number.
    "describe": {"precision": 2, "limits": False},
    # Few blocks read numbers as well as all do, at a tenth of the cost.
    "observe": {"layer": 3, "freeze_after": 256},
    "algorithm": {
        "name": "ppo",
        "settings": {
            # Short rollouts and many updates: with a model in the loop steps are what is dear.
            "n_steps": 32,
            "batch_size": 128,
            "n_epochs": 10,
            "learning_rate": {"start": 1e-3, "end": 0.0},
            "gamma": 0.98,
            "gae_lambda": 0.9,
        },
    },
}
"""What an environment alone is trained with: minutes on two cores, where its texts are short."""

COMPARED: dict[str, Any] = {"seeds": 6, "evaluation": {"episodes": 10, "sampled": False}}
"""What an environment alone is compared with: the fewest seeds that can give a verdict."""
COMPARED_STEPS = 4_096
"""Steps of each run then: whoever wants to know more names an experiment, or ``steps``."""


def read_experiment(source: Source, overrides: Mapping[str, Any] | None = None) -> Experiment:
    """Return the experiment that a user means.

    Args:
        source: A YAML file; ``recipe:NAME`` for one that comes with Dragoman; a run or its folder;
            an environment's id, class, ``module:Class`` or ``file.py:Class``, which is trained with
            the settings of `STARTER`; or plain data, or an experiment.
        overrides: Values that replace those of the source, by dotted key.

    Raises:
        ConfigError: There is no such file or recipe, or a key or a value does not fit.
    """
    source = getattr(source, "experiment", source)  # of a run
    if isinstance(source, Experiment):
        return source.replaced(overrides) if overrides else source
    return Experiment.from_dict(with_overrides(read_source(source), overrides or {}))


def read_source(source: Source) -> dict[str, Any]:
    """Return what `read_experiment` reads, as plain data: an experiment's, or a comparison's."""
    if isinstance(source, Mapping):
        return dict(source)
    source = _named(source)
    name = str(source)
    if name.startswith(RECIPE):
        return read_mapping(recipe_file(name), "recipe", first="env: CartPole-v1")
    if Path(name).suffix == ".py":
        raise ConfigError(
            f"{name!r} names a file, and no class in it", cure=f"write '{name}:MyEnv'"
        )
    if (Path(name) / "config.yaml").is_file():
        return read_mapping(Path(name) / "config.yaml", "run", first="env: CartPole-v1")
    if isinstance(source, Path) or Path(name).suffix in (".yaml", ".yml") or Path(name).is_file():
        return read_mapping(Path(name), "experiment", first="env: CartPole-v1")
    return {"env": name, **STARTER}


def _named(source: Any) -> str | Path:
    """Return a source that is a text or a path, of an environment its name.

    Raises:
        ConfigError: It is something else.
    """
    if isinstance(source, EnvSpec):
        return source.id
    if isinstance(source, str | Path):
        return source
    if isinstance(source, type) and issubclass(source, gym.Env):
        if source.__module__ != "__main__" and "<locals>" not in source.__qualname__:
            return class_name(source)
        cure = "put it into a file of its own, and name it: 'my_env.py:MyEnv'"
    else:
        cure = (
            "give a file, recipe:NAME, an environment's id or 'my_env.py:MyEnv', plain data, or a "
            "dragoman.Experiment"
        )
    raise ConfigError(
        f"{source!r} names no experiment that a run could be made of again", cure=cure
    )


def name_of(source: str | Path) -> str:
    """Return what a folder of results may be called after a source."""
    name = str(source).removeprefix(RECIPE)
    if Path(name).suffix in (".yaml", ".yml"):
        return Path(name).stem
    return name.replace("/", "-").replace(":", "-")


def recipe_file(name: str) -> Path:
    """Return the file of ``recipe:NAME``.

    Raises:
        ConfigError: There is no such recipe.
    """
    recipes = recipe_files()
    wanted = name.removeprefix(RECIPE)
    if wanted not in recipes:
        raise ConfigError(
            f"there is no recipe {wanted!r}{did_you_mean(wanted, recipes)}",
            cure="'dragoman ls recipes' lists them",
        )
    return recipes[wanted]


def recipes_folder() -> Path:
    """Return where the recipes of this installation lie."""
    package = Path(__file__).parents[1]
    # In a wheel they lie in the package, in a checkout beside src/.
    return next(
        place for place in (package / "recipes", package.parents[1] / "recipes") if place.is_dir()
    )


def recipe_files() -> dict[str, Path]:
    """Return the recipes that come with Dragoman, by name: ``tasks/cvrp`` and the like."""
    folder = recipes_folder()
    files = sorted(folder.rglob("*.yaml"))
    return {file.relative_to(folder).with_suffix("").as_posix(): file for file in files}


def first_comment(file: Path) -> str:
    """Return the first sentence of the comment that a recipe starts with."""
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return " ".join(lines).split(". ")[0].rstrip(".:")
