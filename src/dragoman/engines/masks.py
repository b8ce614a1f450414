"""Agents without the act role where an environment says which actions are valid.

With algorithms that take a policy of the act role they get that role's head, which obeys the
mask. With others the training warns once, and the run's record and the reports repeat it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, TypeAlias

from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Discrete

from dragoman.describe.masks import MASK
from dragoman.environments import make_environment
from dragoman.experiment import Experiment
from dragoman.roles.act.settings import Act

Masks: TypeAlias = Literal["obeyed", "ignored"]
"""What became of an environment's masks, as a run's ``env.json`` says under ``masks``."""


class MaskWarning(UserWarning):
    """An algorithm that cannot keep to the actions that the environment offers."""


def masks_of(experiment: Experiment, spec: EnvSpec) -> Masks | None:
    """Return what an experiment's training makes of masks; nothing where none are offered.

    The act role obeys masks in any case, so nothing looks whether any are offered.

    Args:
        experiment: What is trained.
        spec: Its environment, of which a copy is made and reset once.
    """
    if experiment.act is not None:
        return None
    env = make_environment(spec, experiment.env_settings)
    _, info = env.reset(seed=0)
    is_choice = isinstance(env.action_space, Discrete)
    env.close()
    if MASK not in info:
        return None
    return "obeyed" if is_choice and experiment.can_obey_masks else "ignored"


def warn_of(masks: Masks | None, experiment: Experiment) -> None:
    """Warn where masks are offered and ignored."""
    if masks == "ignored":
        warnings.warn(
            f"{experiment.env} says in every state which actions are valid, but "
            f"{experiment.algorithm.name} cannot keep to it in this action space: it will take "
            "others too, which the random policy does not (Discrete actions with ppo or a2c can)",
            MaskWarning,
            stacklevel=4,
        )


def obeying(experiment: Experiment, record: Mapping[str, Any]) -> Experiment:
    """Return the experiment with the head that its training took.

    It takes one where it obeys masks, or a prior guides its policy.

    Args:
        experiment: What is, or was, trained.
        record: What its ``env.json`` says.
    """
    guides_policy = experiment.guide is not None and experiment.guide.in_policy
    if experiment.act is None and (guides_policy or record.get("masks") == "obeyed"):
        return replace(experiment, act=Act())
    return experiment
