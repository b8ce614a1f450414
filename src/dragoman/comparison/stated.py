"""Results that are kept beside a recipe, and whether a rerun agrees with them.

``recipes/stated/NAME.json`` holds, of a finished comparison, its recipe, command, model, seeds,
episodes, dates, versions and machine, minutes of all trainings, and for each arm its scores by
seed, ``mean`` and ``interquartile_mean`` with their intervals, and the outcome of its verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dragoman.comparison.folder import ComparisonFolder
from dragoman.comparison.results import outcome_of, read_results
from dragoman.errors import ConfigError, RunError, did_you_mean
from dragoman.experiment.source import RECIPE, recipes_folder
from dragoman.files import read_json
from dragoman.stats.bootstrap import Interval

LEVEL = 0.95


@dataclass(frozen=True)
class Agreement:
    """What a recipe says of an arm, beside what a rerun gave.

    Attributes:
        arm: Name of the arm.
        stated: Mean score over the stated seeds, with where the mean of the rerun's should lie:
            all arms of a comparison do in 95 of 100 cases.
        now: Mean score of the rerun.
        outcomes: Outcome of the verdict, stated and now; empty where the arm is not judged.
    """

    arm: str
    stated: Interval
    now: float
    outcomes: tuple[str, str]

    @property
    def is_inside(self) -> bool:
        """Whether the rerun's mean lies where it should."""
        return self.stated.low <= self.now <= self.stated.high

    @property
    def agrees(self) -> bool:
        """Whether its verdict is the stated one too."""
        return self.is_inside and self.outcomes[0] == self.outcomes[1]


def stated_results(name: str) -> dict[str, Any]:
    """Return what is kept beside a recipe.

    Raises:
        ConfigError: Nothing is.
    """
    folder = recipes_folder() / "stated"
    files = {
        file.relative_to(folder).with_suffix("").as_posix(): file for file in folder.rglob("*.json")
    }
    name = name.removeprefix(RECIPE)
    if name not in files:
        raise ConfigError(
            f"no results are stated for the recipe {name!r}{did_you_mean(name, files)}",
            cure=f"those that can be reproduced are: {', '.join(sorted(files))}",
        )
    return read_json(files[name], cure="install Dragoman again")


def statement(folder: ComparisonFolder, name: str) -> dict[str, Any]:
    """Return what to keep of a finished comparison beside its recipe.

    Raises:
        RunError: A run is still to come.
    """
    results = read_results(folder)
    unfinished = [
        arm for arm, said in results["arms"].items() if len(said["scores"]) < len(results["seeds"])
    ]
    if unfinished:
        raise RunError(
            f"{folder.path} has unfinished runs of {', '.join(unfinished)}",
            cure=f"go on with 'dragoman compare {RECIPE}{name} --out {folder.path}'",
        )
    arms, seeds = results["arms"], results["seeds"]
    # Other seeds than the first few are those that its file names.
    counted = f" --seeds {len(seeds)}" if seeds == [*range(len(seeds))] else ""
    seconds = sum(costs["seconds"] for arm in arms.values() for costs in arm["costs"].values())
    return {
        "recipe": name,
        "command": f"dragoman compare {RECIPE}{name}{counted}",
        "model": folder.comparison.base["model"]["name"],
        "seeds": seeds,
        "episodes": results["episodes"],
        "dates": results["dates"],
        "versions": results["versions"],
        "training_minutes": round(seconds / 60, 1),
        "random": results["random"],
        "arms": {
            arm: {
                **{key: said[key] for key in ("scores", "mean", "interquartile_mean")},
                "outcome": outcome_of(said),
            }
            for arm, said in arms.items()
        },
    }


def agreements(stated: Mapping[str, Any], results: Mapping[str, Any]) -> Iterator[Agreement]:
    """Yield for each stated arm whether a rerun of the same seeds agrees with it.

    Args:
        stated: What `statement` gave.
        results: What ``results.json`` of the rerun says.
    """
    # With each arm at 95 %, one of four would lie outside in every fifth rerun (Bonferroni).
    level = 1 - (1 - LEVEL) / len(stated["arms"])
    for arm, said in stated["arms"].items():
        now = results["arms"][arm]
        outcomes = (said["outcome"], outcome_of(now)) if said["outcome"] else ("", "")
        scores, again = list(said["scores"].values()), list(now["scores"].values())
        yield Agreement(arm, repeated_mean(scores, again, level), float(np.mean(again)), outcomes)


def repeated_mean(
    scores: Sequence[float], again: Sequence[float], level: float = LEVEL
) -> Interval:
    """Return a mean, and the interval in which the mean of a rerun lies if nothing has changed.

    The scores' own interval says where the truth is; another mean misses the truth as well, so it
    lies in ``mean +- t s sqrt(1 / n + 1 / m)``: Student's test of two samples (1908), with the
    pooled standard deviation s and the quantile t with n + m - 2 degrees of freedom. The spread is
    that of both, since few scores of a task that succeeds or fails may be all the same by chance.
    One score each says nothing of the spread.
    """
    from scipy import stats  # takes a while

    mean = float(np.mean(scores))
    degrees = len(scores) + len(again) - 2
    if degrees < 1:
        return Interval(mean, -np.inf, np.inf, level)
    squares = sum(float(np.var(own)) * len(own) for own in (scores, again))
    deviation = (squares / degrees) ** 0.5
    quantile = float(stats.t.ppf((1 + level) / 2, degrees))
    room = quantile * deviation * (1 / len(scores) + 1 / len(again)) ** 0.5
    return Interval(mean, mean - room, mean + room, level)
