"""Settings of an algorithm of Stable-Baselines3, checked before anything is loaded."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import pydantic
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.utils import LinearSchedule

from dragoman.engines.engine import check_actions
from dragoman.engines.rollouts import fitted
from dragoman.engines.sb3.rollouts import WholeA2C, WholeDQN, WholePPO, WholeSAC, WholeTD3
from dragoman.engines.sb3.vec_env import VecAdapter
from dragoman.errors import ConfigError, did_you_mean
from dragoman.experiment import Experiment
from dragoman.experiment.checks import RECURRENT
from dragoman.roles.act.vector import written_space

ALGORITHMS: dict[str, type[BaseAlgorithm]] = {
    "a2c": WholeA2C,
    "dqn": WholeDQN,
    "ppo": WholePPO,
    "sac": WholeSAC,
    "td3": WholeTD3,
}
_ANY_ACTION = (
    gym.spaces.Box,
    gym.spaces.Discrete,
    gym.spaces.MultiDiscrete,
    gym.spaces.MultiBinary,
)
ACTION_SPACES: dict[str, tuple[type[gym.Space[Any]], ...]] = {
    "a2c": _ANY_ACTION,
    "dqn": (gym.spaces.Discrete,),
    "ppo": _ANY_ACTION,
    RECURRENT: _ANY_ACTION,
    "sac": (gym.spaces.Box,),
    "td3": (gym.spaces.Box,),
}
PARTS = ("policy", "env", "seed", "_init_setup_model")
"""Arguments of their constructors that are made from the rest of an experiment."""
POLICY_PARTS = ("observation_space", "action_space", "lr_schedule")
"""The same of their policies."""
_ANY_CLASS = pydantic.ConfigDict(arbitrary_types_allowed=True)


def algorithm_of(name: str) -> type[BaseAlgorithm]:
    """Return the algorithm of a name.

    Raises:
        MissingExtraError: It needs an extra.
    """
    if name == RECURRENT:
        from dragoman.engines.sb3.recurrent import WholeRecurrentPPO

        return WholeRecurrentPPO
    return ALGORITHMS[name]


def policy_of(name: str, has_parts: bool = False) -> type[BasePolicy]:
    """Return the policy that an algorithm trains without the act role.

    Args:
        name: The algorithm.
        has_parts: Whether it reads dictionaries.
    """
    start = "MultiInput" if has_parts else "Mlp"
    aliases = algorithm_of(name).policy_aliases
    return next(kind for alias, kind in aliases.items() if alias.startswith(start))


def check(experiment: Experiment, observations: gym.Space[Any], actions: gym.Space[Any]) -> None:
    """Refuse what the algorithm's constructor would refuse, with networks that read one number.

    Raises:
        ConfigError: There is no such setting, or it fits neither the spaces nor the steps.
    """
    name = experiment.algorithm.name
    settings = settings_of(experiment)
    if experiment.act is not None and experiment.act.writes_tokens:
        actions = written_space(experiment.act)
    check_actions(name, actions, ACTION_SPACES)
    given = settings.get("policy_kwargs") or {}
    if name == RECURRENT:
        from dragoman.engines.sb3 import recurrent

        recurrent.check(settings)
    known = inspect.signature(policy_of(name)).parameters
    for key in given:
        if key not in known or key in POLICY_PARTS:
            meant = did_you_mean(key, [item for item in known if item not in POLICY_PARTS])
            raise _refused(experiment, f"there is no policy_kwargs.{key!r}{meant}")
    env: VectorEnv[Any, Any, Any] = VectorEnv()
    env.num_envs = experiment.num_envs
    env.single_observation_space = gym.spaces.Box(0, 1, (1,), np.float32)
    env.single_action_space = actions
    env.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        # It warns again when the training is built.
        warnings.simplefilter("ignore")
        made(experiment, algorithm_of(name), policy_of(name), VecAdapter(env))


def made(
    experiment: Experiment,
    kind: type[BaseAlgorithm],
    policy: type[BasePolicy],
    env: VecAdapter,
    **more: Any,
) -> BaseAlgorithm:
    """Return an algorithm with the settings of an experiment, and others that replace them.

    Raises:
        ConfigError: The algorithm refuses its settings.
    """
    try:
        settings = fitted(experiment, settings_of(experiment))
        rate = settings.get("learning_rate")
        if isinstance(rate, Mapping):
            settings["learning_rate"] = LinearSchedule(**{"end_fraction": 1.0, **rate})
        algorithm: BaseAlgorithm = kind(policy, env, **{"device": "cpu", **settings, **more})
    except (TypeError, ValueError, AssertionError) as error:
        raise _refused(experiment, str(error)) from error
    return algorithm


def settings_of(experiment: Experiment) -> dict[str, Any]:
    """Return the settings of the experiment's algorithm as its constructor declares them.

    Whole numbers written as ``1e4`` become whole, and numbers in quotation marks become numbers.

    Raises:
        ConfigError: There is no such setting, or its value is of another kind.
    """
    name, given = experiment.algorithm.name, dict(experiment.algorithm.settings)
    # What RLlib alone knows stands there, so that one file serves both.
    given.pop("rllib", None)
    known = inspect.signature(algorithm_of(name)).parameters
    for key, value in given.items():
        if key not in known or key in PARTS:
            meant = did_you_mean(key, known_settings(name))
            if key in inspect.signature(policy_of(name)).parameters and key not in POLICY_PARTS:
                meant = ": it belongs into policy_kwargs"
            raise _refused(experiment, f"there is no {key!r}{meant}")
        is_rate = key == "learning_rate" and isinstance(value, Mapping)
        declared = dict[str, float] if is_rate else known[key].annotation
        try:
            given[key] = pydantic.TypeAdapter(declared, config=_ANY_CLASS).validate_python(value)
        except pydantic.ValidationError as error:
            message = error.errors(include_url=False)[0]["msg"]
            raise _refused(experiment, f"{key} is {value!r}: {message}") from None
    return given


def known_settings(name: str) -> list[str]:
    """Return what the algorithm of a name may be set to; nothing where there is none."""
    if name not in ACTION_SPACES:
        return []
    return [one for one in inspect.signature(algorithm_of(name)).parameters if one not in PARTS]


def gamma_of(experiment: Experiment) -> float:
    """Return the discount that the experiment's algorithm learns with."""
    kind = algorithm_of(experiment.algorithm.name)
    default = inspect.signature(kind).parameters["gamma"].default
    return float(settings_of(experiment).get("gamma", default))


def _refused(experiment: Experiment, why: str) -> ConfigError:
    name, settings = experiment.algorithm.name, dict(experiment.algorithm.settings)
    is_recurrent = name == RECURRENT
    where = "sb3_contrib.RecurrentPPO" if is_recurrent else f"stable_baselines3.{name.upper()}"
    return ConfigError(
        f"{name} refuses the settings {settings}: {why}",
        cure=f"see the constructor of {where}",
    )
