"""Demonstrations in the memory of DQN, before its first step."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3 import DQN

from dragoman.engines.assembly import spec_of
from dragoman.engines.initial_values import observed
from dragoman.engines.sb3.algorithms import seen
from dragoman.engines.stack import RoleStack
from dragoman.environments import make_environment
from dragoman.environments.vector import rows_of
from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.roles.explore.demonstrations import Demonstrations, Shown, shown


def remember(algorithm: DQN, experiment: Experiment, stack: RoleStack) -> None:
    """Put the steps of an experiment's demonstrations into a DQN's memory, as the policy sees them.

    Their rewards are the environment's own.

    Args:
        algorithm: The algorithm, before its first step.
        experiment: Names the demonstrations.
        stack: The roles around its environment.

    Raises:
        ConfigError: They are of another environment, or there are none.
        RunError: They are damaged, or cannot be played again.
    """
    folder, context = experiment.algorithm.demonstrations, stack.context
    assert folder is not None
    assert context is not None
    found = Demonstrations.read(folder)
    if (found.env, found.env_settings) != (experiment.env, dict(experiment.env_settings)):
        raise ConfigError(
            f"the demonstrations in {folder} are of {found.env} with {found.env_settings}, not of "
            f"{experiment.env} with {dict(experiment.env_settings)}",
            cure="seek in this environment",
        )
    env = make_environment(spec_of(experiment), experiment.env_settings)
    steps = list(shown(env, context.moments, found.episodes))
    env.close()
    if not steps:
        raise ConfigError(f"{folder} holds no steps", cure="seek longer, or leave it out")
    _add(algorithm, stack, steps)


def _add(algorithm: DQN, stack: RoleStack, steps: list[Shown]) -> None:
    buffer: Any = algorithm.replay_buffer
    copies = buffer.n_envs
    before, after = (
        _arrays(seen(algorithm, observed(stack, moments)))
        for moments in ([step.before for step in steps], [step.after for step in steps])
    )
    # The memory has one row for each copy of the environment: the last row begins anew.
    for first in range(0, len(steps), copies):
        rows: Any = np.arange(first, first + copies) % len(steps)
        part = [steps[row] for row in rows]
        ended = [step.terminated or step.truncated for step in part]
        cut = [{"TimeLimit.truncated": step.truncated and not step.terminated} for step in part]
        buffer.add(
            rows_of(before, rows),
            rows_of(after, rows),
            np.array([step.action for step in part]),
            np.array([step.reward for step in part], np.float32),
            np.array(ended),
            cut,
        )


def _arrays(batch: Any) -> Any:
    """Return tensors as arrays."""
    if isinstance(batch, dict):
        return {key: part.numpy() for key, part in batch.items()}
    return batch.numpy()
