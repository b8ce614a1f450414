"""Settings of the algorithms, by the names that Stable-Baselines3 gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

import gymnasium as gym
import pydantic
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete

from dragoman.engines.rollouts import fitted
from dragoman.errors import ConfigError, did_you_mean
from dragoman.experiment import Experiment


@dataclass(frozen=True)
class Schedule:
    """A number that falls, or rises, over the training.

    Attributes:
        start: At the beginning.
        end: At the end.
        end_fraction: The share of the training after which it stands still.
    """

    start: float
    end: float
    end_fraction: float = 1.0

    def at(self, progress: float) -> float:
        """Return it where this share of the training is over."""
        share = min(progress / self.end_fraction, 1.0)
        return self.start + share * (self.end - self.start)


Rate: TypeAlias = float | Schedule


@dataclass(frozen=True)
class Settings:
    """Settings that all algorithms have.

    Attributes:
        rllib: Settings that RLlib alone knows: arguments of its `AlgorithmConfig`, by name.
        policy_kwargs: What decides the network, see `dragoman.engines.policies.make`.
    """

    learning_rate: Rate = 3e-4
    gamma: float = 0.99
    rllib: Mapping[str, Any] = field(default_factory=dict)
    policy_kwargs: Mapping[str, Any] = field(default_factory=dict)

    def rate_at(self, progress: float) -> float:
        """Return the learning rate where this share of the training is over."""
        rate = self.learning_rate
        return rate.at(progress) if isinstance(rate, Schedule) else rate


@dataclass(frozen=True)
class PPOSettings(Settings):
    """Settings of PPO, with the defaults of Stable-Baselines3."""

    n_steps: int = 2048
    batch_size: int = 64
    n_epochs: int = 10
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    clip_range_vf: float | None = None
    normalize_advantage: bool = True
    ent_coef: float = 0.0
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    target_kl: float | None = None


SETTINGS: dict[str, type[Settings]] = {"ppo": PPOSettings}
ACTION_SPACES: dict[str, tuple[type[gym.Space[Any]], ...]] = {
    "ppo": (Box, Discrete, MultiDiscrete, MultiBinary),
}
NETWORK = ("net_arch", "share_features_extractor", "normalize_images")
"""What ``policy_kwargs`` may hold: what the networks of `dragoman.engines.policies` know."""


def settings_of(experiment: Experiment) -> Any:
    """Return the settings of the experiment's algorithm, with defaults that fit its steps.

    Raises:
        ConfigError: There is no such setting here, or its value is of another kind.
    """
    name, given = experiment.algorithm.name, experiment.algorithm.settings
    kind = SETTINGS[name]
    known = [one.name for one in fields(kind)]
    for key in given:
        if key not in known:
            raise _unknown(name, key, known)
    for key in given.get("policy_kwargs", {}):
        if key not in NETWORK:
            raise _unknown(name, f"policy_kwargs.{key}", NETWORK)
    checked = {**given}
    adapter = pydantic.TypeAdapter(kind)
    try:
        # Before defaults are worked out of them, numbers must be numbers.
        typed = adapter.validate_python(checked)
        checked = {key: getattr(typed, key) for key in checked}
        found: Settings = adapter.validate_python(
            {key: one for key, one in fitted(experiment, checked).items() if key in known}
        )
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        raise ConfigError(
            f"algorithm.settings.{key} is {given.get(key)!r}: {first['msg']}",
            cure=f"see {key} of stable_baselines3.{name.upper()}, whose names are used here",
        ) from None
    return found


def check_actions(name: str, actions: gym.Space[Any]) -> None:
    """Refuse actions that an algorithm cannot choose.

    Raises:
        ConfigError: The space is none of those that the algorithm of this name acts in.
    """
    if not isinstance(actions, ACTION_SPACES[name]):
        able = [other for other in SETTINGS if isinstance(actions, ACTION_SPACES[other])]
        raise ConfigError(
            f"{name} cannot act in {actions}: it needs "
            f"{' or '.join(space.__name__ for space in ACTION_SPACES[name])} actions",
            cure=f"use {' or '.join(able)}" if able else "wrap the action space",
        )


def _unknown(name: str, key: str, known: list[str] | tuple[str, ...]) -> ConfigError:
    from dragoman.engines.sb3.settings import known_settings

    if key in known_settings(name):
        return ConfigError(
            f"the engine rllib has no setting {key!r} of {name}; the engine sb3 has it",
            cure=f"leave it out, or train with sb3; rllib knows {', '.join(known)}",
        )
    return ConfigError(
        f"{name} has no setting {key!r}{did_you_mean(key, list(known))}",
        cure="put what RLlib alone knows under algorithm.settings.rllib",
    )
