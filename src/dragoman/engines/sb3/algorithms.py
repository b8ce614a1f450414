"""The Stable-Baselines3 engine: its algorithms on our vector environments."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import pydantic
import torch
from gymnasium.vector import VectorEnv
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.preprocessing import (
    is_image_space,
    is_image_space_channels_first,
)
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecTransposeImage

from dragoman.engines.memory import refuse_rollout
from dragoman.engines.sb3.bookkeeper import Bookkeeper, MetricsWriter, models_of
from dragoman.engines.sb3.budget import BudgetStop
from dragoman.engines.sb3.collapse import CollapseWatch
from dragoman.engines.sb3.policy import ActPolicy
from dragoman.engines.sb3.rollouts import (
    UntilStep,
    WholeA2C,
    WholeDQN,
    WholePPO,
    WholeSAC,
    WholeTD3,
    fitted,
    waits_for_episodes,
    warn_of_steps,
    whole_steps,
)
from dragoman.engines.sb3.tuned import TUNED, Tuning
from dragoman.engines.sb3.vec_env import VecAdapter
from dragoman.errors import ConfigError, ModelError, did_you_mean
from dragoman.experiment import Experiment
from dragoman.experiment.budget import MOST_TIMES, Budget
from dragoman.roles.act.embedding import TokenEmbedding
from dragoman.roles.act.policy import ActionPolicy, make_policy
from dragoman.roles.observe.embedding import TokenSpace
from dragoman.roles.observe.observer import AnyObserver
from dragoman.roles.observe.raw import is_picture
from dragoman.roles.observe.settings import Observe
from dragoman.roles.reward.vector import RewardVector
from dragoman.run import RunWriter, diverged
from dragoman.vector import EpisodeRecorder

ALGORITHMS: dict[str, type[BaseAlgorithm]] = {
    "a2c": WholeA2C,
    "dqn": WholeDQN,
    "ppo": WholePPO,
    "sac": WholeSAC,
    "td3": WholeTD3,
}
ACTION_SPACES: dict[str, tuple[type[gym.Space[Any]], ...]] = {
    "a2c": (gym.spaces.Box, gym.spaces.Discrete, gym.spaces.MultiDiscrete, gym.spaces.MultiBinary),
    "dqn": (gym.spaces.Discrete,),
    "ppo": (gym.spaces.Box, gym.spaces.Discrete, gym.spaces.MultiDiscrete, gym.spaces.MultiBinary),
    "sac": (gym.spaces.Box,),
    "td3": (gym.spaces.Box,),
}
PARTS = ("policy", "env", "seed", "_init_setup_model")
"""Arguments of their constructors that are made from the rest of an experiment."""
_ANY_CLASS = pydantic.ConfigDict(arbitrary_types_allowed=True)


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
    # The features arrive as NumPy arrays and the network on them is small: the processor wins.
    settings: dict[str, Any] = {"device": _device(experiment, model)}
    tune = None if experiment.act is None else experiment.act.tune
    kind = ALGORITHMS[name] if tune is None else TUNED[name]
    try:
        settings |= fitted(experiment, settings_of(experiment))
        if issubclass(kind, OnPolicyAlgorithm):
            refuse_rollout(observations, settings["n_steps"], env.num_envs)
        warn_of_steps(experiment, settings)
        rate = settings.get("learning_rate")
        if isinstance(rate, Mapping):
            settings["learning_rate"] = LinearSchedule(**{"end_fraction": 1.0, **rate})
        algorithm: BaseAlgorithm = kind(
            _policy_kind(experiment, observations),
            VecAdapter(env),
            seed=seed,
            **{**settings, "policy_kwargs": _policy_settings(experiment, observations, model)},
        )
    except (TypeError, ValueError, AssertionError) as error:
        raise ConfigError(
            f"{name} refuses the settings {dict(experiment.algorithm.settings)}: {error}",
            cure=f"see the constructor of stable_baselines3.{name.upper()}",
        ) from error
    if isinstance(algorithm, Tuning) and tune is not None:
        algorithm.tune = tune
    return algorithm


def settings_of(experiment: Experiment) -> dict[str, Any]:
    """Return the settings of the experiment's algorithm as its constructor declares them.

    Whole numbers written as ``1e4`` become whole, and numbers in quotation marks become numbers.

    Raises:
        ConfigError: There is no such setting, or its value is of another kind.
    """
    name, given = experiment.algorithm.name, dict(experiment.algorithm.settings)
    kind = ALGORITHMS[name]
    known = inspect.signature(kind).parameters
    for key, value in given.items():
        if key not in known or key in PARTS:
            settings = [one for one in known if one not in PARTS]
            raise ConfigError(
                f"{name} refuses the settings {given}: there is no {key!r}"
                f"{did_you_mean(key, settings)}",
                cure=f"see the constructor of stable_baselines3.{name.upper()}",
            )
        is_rate = key == "learning_rate" and isinstance(value, Mapping)
        declared = dict[str, float] if is_rate else known[key].annotation
        try:
            given[key] = pydantic.TypeAdapter(declared, config=_ANY_CLASS).validate_python(value)
        except pydantic.ValidationError as error:
            raise ConfigError(
                f"{name} refuses the settings {given}: {key} is {value!r}: "
                f"{error.errors(include_url=False)[0]['msg']}",
                cure=f"see the constructor of stable_baselines3.{name.upper()}",
            ) from None
    return given


def gamma_of(experiment: Experiment) -> float:
    """Return the discount that the experiment's algorithm learns with."""
    default = inspect.signature(ALGORITHMS[experiment.algorithm.name]).parameters["gamma"].default
    return float(settings_of(experiment).get("gamma", default))


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
    settings = _policy_settings(experiment, observations, model)
    if "use_sde" in experiment.algorithm.settings:
        settings["use_sde"] = settings_of(experiment)["use_sde"]
    space = _transposed(observations)
    policy: BasePolicy = kind(space, actions, lambda progress: 1.0, **settings)
    return policy.to(_device(experiment, model))


def learn(
    algorithm: BaseAlgorithm,
    experiment: Experiment,
    writer: RunWriter,
    recorder: EpisodeRecorder,
    observer: AnyObserver | None,
    callbacks: Sequence[BaseCallback] = (),
    budget: Budget | None = None,
    rewards: RewardVector | None = None,
) -> None:
    """Train, writing metrics, episodes and weights as it goes; saves on Ctrl-C too.

    Args:
        algorithm: What `build` returned.
        experiment: What is trained, for the number of steps.
        writer: Where everything goes.
        recorder: The recorder of episodes beneath the algorithm.
        observer: The observe role, if any.
        callbacks: More callbacks of Stable-Baselines3.
        budget: What ends the training instead of the number of steps.
        rewards: The reward role beneath the algorithm, if any.
    """
    algorithm.set_logger(
        Logger(str(writer.path), [MetricsWriter(writer), TensorBoardOutputFormat(str(writer.path))])
    )
    bookkeeper = Bookkeeper(writer, recorder, observer, rewards)
    # The first reset comes before the library does this, and may fail already.
    bookkeeper.init_callback(algorithm)
    steps = whole_steps(experiment)
    if isinstance(algorithm, OnPolicyAlgorithm):
        callbacks = [CollapseWatch(experiment.collapse), *callbacks]
    elif isinstance(algorithm, OffPolicyAlgorithm):
        callbacks = [UntilStep(), *callbacks] if waits_for_episodes(algorithm) else callbacks
    if budget is not None:
        callbacks = [*callbacks, BudgetStop(budget, models_of(observer, rewards))]
        steps *= MOST_TIMES
    try:
        algorithm.learn(steps, callback=[bookkeeper, *callbacks], log_interval=1)
        if budget is not None:
            # It may end within a rollout, whose cost no row has told yet.
            bookkeeper.record()
            algorithm.logger.dump(algorithm.num_timesteps)
    except ModelError as error:
        error.add_note(f"at step {algorithm.num_timesteps} of a training on {experiment.env}")
        raise
    except ValueError as error:
        # So PyTorch's distributions refuse to draw by NaN, which finite weights too can lead to.
        if "found invalid values" in str(error):
            raise diverged("outputs", algorithm.num_timesteps) from error
        raise
    finally:
        # Also after Ctrl-C or an error in the environment: what was learnt so far stays usable.
        bookkeeper.save()


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
    return getattr(getattr(model, "model", model), "device", "cpu") if is_part else "cpu"


def _policy_settings(
    experiment: Experiment, observations: gym.Space[Any], model: Any
) -> dict[str, Any]:
    own = experiment.algorithm.settings.get("policy_kwargs", {})
    if experiment.act is not None:
        make = functools.partial(_make_policy, experiment, model)
        return {**own, "act": experiment.act, "make": make}
    settings = {"net_arch": list(experiment.algorithm.network), **own}
    if isinstance(observations, TokenSpace):
        settings["features_extractor_class"] = TokenEmbedding
    return settings


def _make_policy(
    experiment: Experiment,
    model: Any,
    observations: gym.Space[Any],
    actions: gym.Space[Any],
) -> ActionPolicy:
    assert experiment.act is not None
    assert isinstance(observations, gym.spaces.Dict)
    return make_policy(
        experiment.act,
        observations,
        actions,
        experiment.algorithm.network,
        model=getattr(model, "model", model),
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


def check_actions(name: str, actions: gym.Space[Any]) -> None:
    """Refuse actions that an algorithm cannot choose.

    Raises:
        ConfigError: The space is none of those that the algorithm of this name acts in.
    """
    if not isinstance(actions, ACTION_SPACES[name]):
        able = [other for other in ALGORITHMS if isinstance(actions, ACTION_SPACES[other])]
        raise ConfigError(
            f"{name} cannot act in {actions}: it needs "
            f"{' or '.join(space.__name__ for space in ACTION_SPACES[name])} actions",
            cure=f"use {' or '.join(able)}" if able else "wrap the action space",
        )


def _check_observations(name: str, observations: gym.Space[Any]) -> None:
    if not reads(observations):
        raise ConfigError(
            f"without the observe role {name} reads the raw observations, "
            f"but cannot read {observations}",
            cure="turn the observe role on, or flatten the observations in a wrapper",
        )
