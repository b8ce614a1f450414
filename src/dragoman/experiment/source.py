"""From what a user names to an experiment: a file, a recipe, an environment, or plain data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from dragoman.errors import ConfigError, did_you_mean
from dragoman.experiment import Experiment, with_overrides
from dragoman.yaml12 import read_mapping

Source: TypeAlias = str | Path | Mapping[str, Any] | Experiment
"""A YAML file, ``recipe:NAME``, an environment, plain data, or the experiment itself."""

RECIPE = "recipe:"

STARTER: dict[str, Any] = {
    "steps": 16_384,
    "num_envs": 16,
    # Few blocks read numbers as well as all do, at a tenth of the cost.
    "observe": {"layer": 3, "freeze_after": 4096},
    "algorithm": {
        "name": "ppo",
        "settings": {
            "n_steps": 64,
            "batch_size": 256,
            "n_epochs": 10,
            "learning_rate": {"start": 5e-4, "end": 0.0},
            "gamma": 0.98,
            "gae_lambda": 0.9,
        },
    },
}
"""What an environment alone is trained with: minutes on two cores, where its texts are short."""


def read_experiment(source: Source, overrides: Mapping[str, Any] | None = None) -> Experiment:
    """Return the experiment that a user means.

    Args:
        source: A YAML file; ``recipe:NAME`` for one that comes with Dragoman; an environment's id,
            ``module:Class`` or ``file.py:Class``, which is trained with the settings of `STARTER`;
            or plain data, or an experiment.
        overrides: Values that replace those of the source, by dotted key.

    Raises:
        ConfigError: There is no such file or recipe, or a key or a value does not fit.
    """
    if isinstance(source, Experiment):
        return source.replaced(overrides) if overrides else source
    return Experiment.from_dict(with_overrides(read_source(source), overrides or {}))


def read_source(source: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    """Return what `read_experiment` reads, as plain data: an experiment's, or a comparison's."""
    if isinstance(source, Mapping):
        return dict(source)
    name = str(source)
    if name.startswith(RECIPE):
        return read_mapping(recipe_file(name), "recipe", first="env: CartPole-v1")
    if Path(name).suffix == ".py":
        raise ConfigError(
            f"{name!r} names a file, and no class in it", cure=f"write '{name}:MyEnv'"
        )
    if isinstance(source, Path) or Path(name).suffix in (".yaml", ".yml") or Path(name).is_file():
        return read_mapping(Path(name), "experiment", first="env: CartPole-v1")
    return {"env": name, **STARTER}


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


def recipe_files() -> dict[str, Path]:
    """Return the recipes that come with Dragoman, by name: ``tasks/cvrp`` and the like."""
    package = Path(__file__).parents[1]
    # In a wheel they lie in the package, in a checkout beside src/.
    folder = next(
        place for place in (package / "recipes", package.parents[1] / "recipes") if place.is_dir()
    )
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
