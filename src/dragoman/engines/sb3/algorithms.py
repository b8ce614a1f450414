"""The algorithms of Stable-Baselines3 on our vector environments."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import VectorEnv
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.preprocessing import (
    is_image_space,
    is_image_space_channels_first,
)
from stable_baselines3.common.vec_env import VecTransposeImage

from dragoman.engines.memory import refuse_rollout
from dragoman.engines.sb3.policy import ActPolicy
from dragoman.engines.sb3.rollouts import fitted, warn_of_steps
from dragoman.engines.sb3.settings import ALGORITHMS, check_actions, made, settings_of
from dragoman.engines.sb3.tuned import TUNED, Tuning
from dragoman.engines.sb3.vec_env import VecAdapter
from dragoman.errors import ConfigError
from dragoman.experiment import POLICY_GRADIENT, Experiment
from dragoman.models.cache import without_memory
from dragoman.models.torch_model import TorchModel
from dragoman.roles.act.policy import ActionPolicy, make_policy
from dragoman.roles.observe.raw import is_picture
from dragoman.roles.observe.settings import Observe


def build(
    experiment: Experiment, env: VectorEnv[Any, Any, Any], seed: int, model: Any = None
) -> BaseAlgorithm:
    """Return the experiment's algorithm on a vector environment.

    Args:
        experiment: What to train.
        env: What to train on.
        seed: Seed of weights and exploration.
        model: The language model, where the act role trains it.

    Raises:
        ConfigError: The algorithm cannot serve the spaces or refuses its settings.
    """
    name = experiment.algorithm.name
    observations = env.single_observation_space
    check_actions(name, env.single_action_space)
    if experiment.act is None:
        _check_observations(name, observations)
    settings = fitted(experiment, settings_of(experiment))
    if name in POLICY_GRADIENT:
        refuse_rollout(observations, settings["n_steps"], env.num_envs)
    warn_of_steps(experiment, settings)
    tune = None if experiment.act is None else experiment.act.tune
    kind: type[BaseAlgorithm] = ALGORITHMS[name] if tune is None else TUNED[name]
    algorithm = made(
        experiment,
        kind,
        _policy_kind(experiment, observations),
        VecAdapter(env),
        seed=seed,
        # Features arrive as NumPy arrays and the network on them is small: the processor wins.
        device=settings.get("device", _device(experiment, model)),
        policy_kwargs=_policy_settings(experiment, model),
    )
    if isinstance(algorithm, Tuning) and tune is not None:
        algorithm.tune = tune
    return algorithm


def build_policy(
    experiment: Experiment,
    observations: gym.Space[Any],
    actions: gym.Space[Any],
    model: Any = None,
) -> BasePolicy:
    """Return the untrained policy of the experiment's algorithm, without the algorithm.

    Args:
        experiment: What was trained.
        observations: What the policy reads.
        actions: What it chooses from.
        model: The language model, where the act role trains it.
    """
    kind = _policy_kind(experiment, observations)
    settings = _policy_settings(experiment, model)
    if "use_sde" in experiment.algorithm.settings:
        settings["use_sde"] = settings_of(experiment)["use_sde"]
    space = _transposed(observations)
    policy: BasePolicy = kind(space, actions, lambda progress: 1.0, **settings)
    return policy.to(_device(experiment, model))


def stack(space: gym.Space[Any], observations: Sequence[Any]) -> Any:
    """Return raw observations as the batch that a policy's ``predict`` takes."""
    if isinstance(space, gym.spaces.Dict):
        return {key: np.stack([row[key] for row in observations]) for key in space}
    return np.stack(observations)


def _transposed(space: gym.Space[Any]) -> gym.Space[Any]:
    """Return the space that an algorithm gives its policy: with the channels of images first.

    The policy turns the images that it predicts from by itself.
    """
    if isinstance(space, gym.spaces.Dict):
        # As pairs, since a mapping would be sorted, and the network reads part after part.
        return gym.spaces.Dict([(key, _transposed(part)) for key, part in space.spaces.items()])
    if not isinstance(space, gym.spaces.Box) or not is_image_space(space):
        return space
    return (
        space if is_image_space_channels_first(space) else VecTransposeImage.transpose_space(space)
    )


def _policy_kind(experiment: Experiment, observations: gym.Space[Any]) -> type[BasePolicy]:
    if experiment.act is not None:
        return ActPolicy
    name = "MultiInputPolicy" if isinstance(observations, gym.spaces.Dict) else "MlpPolicy"
    return ALGORITHMS[experiment.algorithm.name].policy_aliases[name]


def _device(experiment: Experiment, model: Any) -> Any:
    """Return where policies compute: on the processor, unless the model is part of them."""
    is_part = experiment.act is not None and experiment.act.tune is not None
    return getattr(without_memory(model), "device", "cpu") if is_part else "cpu"


def _policy_settings(experiment: Experiment, model: Any) -> dict[str, Any]:
    own = experiment.algorithm.settings.get("policy_kwargs", {})
    if experiment.act is not None:
        make = functools.partial(_make_policy, experiment, model)
        return {**own, "act": experiment.act, "make": make}
    return {"net_arch": list(experiment.algorithm.network), **own}


def _make_policy(
    experiment: Experiment,
    model: Any,
    observations: gym.Space[Any],
    actions: gym.Space[Any],
) -> ActionPolicy:
    assert experiment.act is not None
    assert isinstance(observations, gym.spaces.Dict)
    inner = without_memory(model)
    return make_policy(
        experiment.act,
        observations,
        actions,
        experiment.algorithm.network,
        model=inner if isinstance(inner, TorchModel) else None,
        pooling=(experiment.observe or Observe()).pooling,
    )


def reads(space: gym.Space[Any]) -> bool:
    """Return whether the library's own networks take observations of a space as they are.

    Others are made numbers of, see `dragoman.roles.observe.raw.RawState`.
    """
    if isinstance(space, gym.spaces.Dict):
        return all(
            not isinstance(part, gym.spaces.Dict)
            and reads(part)
            # Its network for pictures is too deep for small ones.
            and (not is_image_space(part) or is_picture(part))
            # It names modules by keys.
            and not (hasattr(torch.nn.ModuleDict, key) or "." in key or not key)
            for key, part in space.spaces.items()
        )
    if isinstance(space, gym.spaces.Box):
        return len(space.shape) > 0
    if isinstance(space, gym.spaces.Discrete | gym.spaces.MultiDiscrete):
        # It makes values one-hot from zero on.
        return len(space.shape or ()) < 2 and not np.any(space.start)
    return isinstance(space, gym.spaces.MultiBinary)


def _check_observations(name: str, observations: gym.Space[Any]) -> None:
    if not reads(observations):
        raise ConfigError(
            f"without the observe role {name} reads the raw observations, "
            f"but cannot read {observations}",
            cure="turn the observe role on, or flatten the observations in a wrapper",
        )
