"""How many steps a training takes between updates, where its settings leave that to us."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from dragoman.engines.engine import whole_steps
from dragoman.experiment import Experiment
from dragoman.experiment.checks import ON_POLICY, RECURRENT

UPDATES = 20
"""Least updates of a training whose settings leave the length of a rollout to us."""

ROLLOUT = 512
"""Most steps of a rollout over all copies, unless the settings name another.

With a model in the loop steps are dear, and learning soon from few is worth more than a long look.
"""

WITHOUT_CRITIC = {"normalize_advantage": False, "vf_coef": 0.0}
"""Settings where whole episodes are compared, unless an experiment names them.

Advantages are normalised already. Nothing asks the critic, so nothing trains it.
"""

BATCH = 64
BUFFER_SIZE = 100_000
"""Default of off-policy algorithms: their own million rows of 1,152 features are 9 GB."""


class StepsWarning(UserWarning):
    """The number of steps does not fit the number of copies, or the length of a rollout."""


def fitted(experiment: Experiment, named: Mapping[str, Any]) -> dict[str, Any]:
    """Return the algorithm's settings, with defaults that fit the number of steps.

    What is named stays as it is.

    Args:
        experiment: Its steps, copies and algorithm.
        named: The settings that it names.

    Raises:
        ConfigError: There are fewer steps than copies.
    """
    name, steps, copies = experiment.algorithm.name, whole_steps(experiment), experiment.num_envs
    settings = dict(named)
    if name not in ON_POLICY:
        settings.setdefault("buffer_size", BUFFER_SIZE)
        settings.setdefault("learning_starts", min(100, steps // UPDATES))
        if name == "dqn":
            # Stable-Baselines3's 10,000 steps would leave a short training's target as drawn.
            often = max(min(10_000, steps // UPDATES), copies)
            settings.setdefault("target_update_interval", often)
        return settings
    if experiment.credit.plays_whole_episodes:
        # Episodes say how long a rollout is; the library wants a number that it can divide.
        settings["n_steps"] = settings.setdefault("batch_size", BATCH) if name == "ppo" else 1
        return {**WITHOUT_CRITIC, **settings}
    if "n_steps" not in settings:
        each = max(min(ROLLOUT, steps // UPDATES) // copies, 1 if copies > 1 else 2)
        # A power of two, so that rollouts fall into equal batches.
        each = 2 ** (each.bit_length() - 1)
        settings["n_steps"] = min(each, 5) if name == "a2c" else each
    if name in ("ppo", RECURRENT) and "batch_size" not in settings:
        # The largest equal parts up to Stable-Baselines3's own 64; all of it where it has none.
        rollout = settings["n_steps"] * copies
        sizes = (size for size in range(BATCH, BATCH // 4, -1) if rollout % size == 0)
        settings["batch_size"] = next(sizes, rollout)
    return settings


def warn_of_steps(experiment: Experiment, settings: Mapping[str, Any]) -> None:
    """Say before a training starts what does not fit its number of steps.

    Args:
        experiment: Its steps, copies and algorithm.
        settings: What `fitted` returned.
    """
    steps, copies = whole_steps(experiment), experiment.num_envs
    if steps < experiment.steps:
        _warn(
            f"the training takes {steps:,} steps of {experiment.steps:,}, since {copies} copies of "
            "the environment step together; make steps a multiple of num_envs"
        )
    if experiment.algorithm.name not in ON_POLICY:
        if settings["learning_starts"] >= steps:
            _warn(
                f"learning_starts is {settings['learning_starts']:,}, and the training ends after "
                f"{steps:,} steps: it learns nothing; lower algorithm.settings.learning_starts"
            )
    elif not experiment.credit.plays_whole_episodes and settings["n_steps"] * copies > steps:
        _warn(
            f"a rollout is {settings['n_steps']:,} steps of {copies} copies, more than the "
            f"{steps:,} steps asked for: the training is a single update; "
            "lower algorithm.settings.n_steps, or leave it out"
        )


def _warn(problem: str) -> None:
    warnings.warn(problem, StepsWarning, stacklevel=7)
