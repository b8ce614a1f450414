"""What a training library must do to be an engine of Dragoman.

An engine writes no rows, no checkpoints and no episodes: it calls `Watchers` with what happens. It
trains with whatever networks it likes, and gives the weights under the names of the neutral
policies, so that a finished run is played without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import gymnasium as gym
from gymnasium.vector import AutoresetMode, VectorEnv

from dragoman.engines.stack import RoleStack
from dragoman.engines.watcher import Training, Watchers
from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.run import RunWriter


class Learner(Training, Protocol):
    """A training that an engine has prepared."""

    def learn(self, watchers: Watchers, steps: int, writer: RunWriter | None = None) -> None:
        """Train, and call the watchers.

        Args:
            watchers: Called with everything. Where they have stopped, training ends with that step.
            steps: Environment steps to take, over all copies.
            writer: Where the rows of the metrics go.
        """
        ...

    def close(self) -> None:
        """Give back what it runs in, when nothing more is asked of it."""
        ...


class Engine(Protocol):
    """A training library: what it can train, and how."""

    @property
    def name(self) -> str:
        """What a run's record calls it."""
        ...

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Names of the algorithms that it has."""
        ...

    @property
    def record(self) -> Mapping[str, Any]:
        """What a run's record says of it beside its name."""
        ...

    @property
    def autoreset(self) -> AutoresetMode:
        """When vector environments that it trains on must reset what has ended."""
        ...

    @property
    def processes(self) -> int:
        """How many processes one training keeps busy."""
        ...

    @property
    def can_resume(self) -> bool:
        """Whether its trainings are a `dragoman.engines.checkpoints.Resumable`."""
        ...

    def check(
        self, experiment: Experiment, observations: gym.Space[Any], actions: gym.Space[Any]
    ) -> None:
        """Refuse what cannot be trained. No model is loaded yet.

        Args:
            experiment: What is to be trained. The names of its algorithm's settings are those of
                Stable-Baselines3 for every engine.
            observations: The environment's own (unbatched) observations.
            actions: Its (unbatched) actions.

        Raises:
            ConfigError: There is no such algorithm or setting, or it does not fit the spaces.
        """
        ...

    def gamma(self, experiment: Experiment) -> float:
        """Return the discount that the experiment's algorithm learns with."""
        ...

    def build(
        self,
        experiment: Experiment,
        env: VectorEnv[Any, Any, Any],
        seed: int,
        model: Any = None,
        stack: RoleStack | None = None,
    ) -> Learner:
        """Prepare a training.

        Args:
            experiment: What to train.
            env: What to train on, with its roles around it.
            seed: Seed of weights and exploration.
            model: The language model, where the act role trains it.
            stack: The roles, for an engine that puts them on environments of other processes too.

        Raises:
            ConfigError: The algorithm refuses its settings.
        """
        ...


def default_engine() -> Engine:
    """Return the engine that trains unless another one is named."""
    from dragoman.engines.sb3 import SB3

    return SB3()


def engine_named(engine: str | Engine | None) -> Engine:
    """Return an engine, made where it is a name.

    Raises:
        ConfigError: It is neither, or there is none of this name.
    """
    if engine is None or engine == "sb3":
        return default_engine()
    if engine == "rllib":
        from dragoman.engines.rllib import RLlib

        return RLlib()
    if isinstance(engine, str) or not hasattr(engine, "build"):
        raise ConfigError(f"{engine!r} is no engine", cure="give 'sb3', 'rllib' or an engine")
    return engine


def whole_steps(experiment: Experiment) -> int:
    """Return the steps of a training: those that are wanted, as far as all copies take them.

    Raises:
        ConfigError: There are fewer than one of each copy.
    """
    if experiment.steps < experiment.num_envs:
        raise ConfigError(
            f"steps is {experiment.steps}, but {experiment.num_envs} copies of the environment "
            f"take {experiment.num_envs} steps at once",
            cure="raise steps, or lower num_envs",
        )
    return experiment.steps - experiment.steps % experiment.num_envs


def check_actions(
    name: str, actions: gym.Space[Any], spaces: Mapping[str, tuple[type[gym.Space[Any]], ...]]
) -> None:
    """Refuse actions that an algorithm cannot choose.

    Args:
        name: The algorithm.
        actions: What the environment takes.
        spaces: The kinds of spaces that each algorithm of the engine acts in, by name.

    Raises:
        ConfigError: The space is none of those that the algorithm of this name acts in.
    """
    if not isinstance(actions, spaces[name]):
        able = [other for other, kinds in spaces.items() if isinstance(actions, kinds)]
        raise ConfigError(
            f"{name} cannot act in {actions}: it needs "
            f"{' or '.join(kind.__name__ for kind in spaces[name])} actions",
            cure=f"use {' or '.join(able)}" if able else "wrap the action space",
        )
