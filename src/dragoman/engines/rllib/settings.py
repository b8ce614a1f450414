"""Settings of the algorithms, by the names that Stable-Baselines3 gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias

import gymnasium as gym
import numpy as np
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
class APPOSettings(Settings):
    """Settings of APPO: those of PPO that it has, with the same defaults."""

    n_steps: int = 2048
    clip_range: float = 0.2
    ent_coef: float = 0.0
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5


@dataclass(frozen=True)
class PPOSettings(APPOSettings):
    """Settings of PPO, with the defaults of Stable-Baselines3."""

    batch_size: int = 64
    n_epochs: int = 10
    gae_lambda: float = 0.95
    clip_range_vf: float | None = None
    normalize_advantage: bool = True
    target_kl: float | None = None


@dataclass(frozen=True)
class ReplaySettings(Settings):
    """Settings of algorithms that learn from older steps too."""

    buffer_size: int = 100_000
    learning_starts: int = 100
    batch_size: int = 256
    tau: float = 0.005
    train_freq: int = 1
    gradient_steps: int = 1
    target_update_interval: int = 1


@dataclass(frozen=True)
class DQNSettings(ReplaySettings):
    """Settings of DQN, with the defaults of Stable-Baselines3."""

    learning_rate: Rate = 1e-4
    batch_size: int = 32
    tau: float = 1.0
    train_freq: int = 4
    target_update_interval: int = 10_000
    exploration_fraction: float = 0.1
    exploration_initial_eps: float = 1.0
    exploration_final_eps: float = 0.05
    max_grad_norm: float = 10.0

    def epsilon_at(self, progress: float) -> float:
        """Return the share of random actions where this share of the training is over."""
        first, last = self.exploration_initial_eps, self.exploration_final_eps
        return Schedule(first, last, self.exploration_fraction).at(progress)


@dataclass(frozen=True)
class SACSettings(ReplaySettings):
    """Settings of SAC, with the defaults of Stable-Baselines3."""

    ent_coef: float | str = "auto"
    target_entropy: float | Literal["auto"] = "auto"

    @property
    def temperature(self) -> tuple[float, bool]:
        """What entropy is worth at the start, and whether that is learnt."""
        if not isinstance(self.ent_coef, str):
            return self.ent_coef, False
        return float(self.ent_coef.partition("_")[2] or 1.0), True

    def wanted_entropy(self, actions: gym.Space[Any]) -> float:
        """Return the entropy that the temperature is learnt for."""
        if self.target_entropy == "auto":
            return -float(np.prod(actions.shape or ()))
        return self.target_entropy


SETTINGS: dict[str, type[Settings]] = {
    "appo": APPOSettings,
    "dqn": DQNSettings,
    "ppo": PPOSettings,
    "sac": SACSettings,
}
ACTION_SPACES: dict[str, tuple[type[gym.Space[Any]], ...]] = {
    "appo": (Box, Discrete, MultiDiscrete, MultiBinary),
    "dqn": (Discrete,),
    "ppo": (Box, Discrete, MultiDiscrete, MultiBinary),
    "sac": (Box,),
}
NETWORK = ("n_critics", "net_arch", "normalize_images", "share_features_extractor")
"""What ``policy_kwargs`` may hold: what the networks of `dragoman.engines.policies` know."""


def settings_of(experiment: Experiment) -> Any:
    """Return the settings of the experiment's algorithm, with defaults that fit its steps.

    Raises:
        ConfigError: There is no such setting here, or its value is of another kind.
    """
    name, given = experiment.algorithm.name, experiment.algorithm.settings
    kind = SETTINGS[name]
    known = [item.name for item in fields(kind)]
    for key in given:
        if key not in known:
            raise _unknown(name, key, known)
    for key in given.get("policy_kwargs", {}):
        if key not in NETWORK:
            raise _unknown(name, f"policy_kwargs.{key}", NETWORK)
    adapter = pydantic.TypeAdapter(kind)
    try:
        # Before defaults are worked out of them, numbers must be numbers.
        typed = adapter.validate_python(given)
        checked = {key: getattr(typed, key) for key in given}
        result: Settings = adapter.validate_python(
            {key: value for key, value in fitted(experiment, checked).items() if key in known}
        )
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        raise ConfigError(
            f"algorithm.settings.{key} is {given.get(key)!r}: {first['msg']}",
            cure="the names and their kinds are those of stable_baselines3's algorithms",
        ) from None
    return result


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
