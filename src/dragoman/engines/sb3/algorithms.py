"""The algorithms of Stable-Baselines3 on our vector environments."""

from __future__ import annotations

import functools
from typing import Any

import gymnasium as gym
import torch
from gymnasium.vector import VectorEnv
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import DictRolloutBuffer
from stable_baselines3.common.policies import BasePolicy

from dragoman.engines.engine import check_actions
from dragoman.engines.memory import refuse_rollout
from dragoman.engines.policies.features import reads
from dragoman.engines.policies.make import (
    device_of,
    make_action_policy,
    make_policy,
    network_settings,
)
from dragoman.engines.rollouts import fitted, warn_of_steps
from dragoman.engines.sb3.credited import (
    CREDITED,
    TUNED_CREDITED,
    Episodes,
)
from dragoman.engines.sb3.guided import GUIDED, Guided, WeightedBuffer
from dragoman.engines.sb3.names import our_names
from dragoman.engines.sb3.policy import ActPolicy
from dragoman.engines.sb3.settings import (
    ACTION_SPACES,
    algorithm_of,
    made,
    policy_of,
    settings_of,
)
from dragoman.engines.sb3.tuned import TUNED, Tuning
from dragoman.engines.sb3.vec_env import VecAdapter
from dragoman.engines.sb3.written import (
    StampedBuffer,
    StampedTokenBuffer,
    TokenBuffer,
    WritePolicy,
)
from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.experiment.checks import ON_POLICY
from dragoman.roles.act.settings import Act


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
    check_actions(name, env.single_action_space, ACTION_SPACES)
    if experiment.act is None:
        _check_observations(name, observations)
    settings = fitted(experiment, settings_of(experiment))
    if name in ON_POLICY:
        refuse_rollout(observations, settings["n_steps"], env.num_envs)
    warn_of_steps(experiment, settings)
    tune = None if experiment.act is None else experiment.act.tune
    guide = experiment.guide
    kind: type[BaseAlgorithm] = algorithm_of(name) if tune is None else TUNED[name]
    more: dict[str, Any] = {}
    if experiment.credit.plays_whole_episodes:
        kind = (CREDITED if tune is None else TUNED_CREDITED)[name]
    if guide is not None and guide.in_policy:
        kind = GUIDED[name]
        more = {"rollout_buffer_class": WeightedBuffer} if guide.use == "mixture" else {}
    if experiment.act is not None:
        more |= _buffer(experiment.act)
    algorithm = made(
        experiment,
        kind,
        _policy_kind(experiment, observations),
        VecAdapter(env),
        seed=seed,
        device=settings.get("device", device_of(experiment, model)),
        policy_kwargs=_policy_settings(experiment, model),
        **more,
    )
    if isinstance(algorithm, Guided) and guide is not None:
        algorithm.guide = guide
    if isinstance(algorithm, Episodes):
        algorithm.credit = experiment.credit
    if isinstance(algorithm, Tuning) and tune is not None:
        algorithm.tune = tune
    if experiment.act is None:
        _refuse_other_networks(experiment, observations, algorithm.policy)
    return algorithm


def seen(algorithm: BaseAlgorithm, batch: Any) -> Any:
    """Return what a network reads of observations: a tensor, or a dictionary of tensors."""
    return algorithm.policy.obs_to_tensor(batch)[0]


def _policy_kind(experiment: Experiment, observations: gym.Space[Any]) -> type[BasePolicy]:
    if experiment.act is not None:
        return WritePolicy if experiment.act.writes_tokens else ActPolicy
    return policy_of(experiment.algorithm.name, isinstance(observations, gym.spaces.Dict))


def _buffer(act: Act) -> dict[str, Any]:
    """Return what keeps the rows of a policy that writes, where the library's own would not."""
    kind: type[DictRolloutBuffer] | None = TokenBuffer if act.ratio == "token" else None
    if act.writer is not None:
        kind = StampedBuffer if kind is None else StampedTokenBuffer
    return {} if kind is None else {"rollout_buffer_class": kind}


def _policy_settings(experiment: Experiment, model: Any) -> dict[str, Any]:
    if experiment.act is not None:
        own = experiment.algorithm.settings.get("policy_kwargs", {})
        make = functools.partial(make_action_policy, experiment, model=model)
        return {**own, "act": experiment.act, "guide": experiment.guide, "make": make}
    settings = network_settings(experiment)
    settings.pop("use_sde", None)  # which the algorithm gives
    return settings


def _refuse_other_networks(
    experiment: Experiment, observations: gym.Space[Any], policy: BasePolicy
) -> None:
    """Refuse a network that no policy of ours could play, before it is trained.

    Raises:
        ConfigError: The settings make one.
    """
    with torch.random.fork_rng(devices=[]):
        ours = make_policy(experiment, observations, policy.action_space).state_dict()
    theirs = our_names(policy.state_dict())
    one, other = ({(name, w.shape) for name, w in result.items()} for result in (ours, theirs))
    if one != other:
        names = sorted({name for name, _ in one ^ other})
        raise ConfigError(
            "algorithm.settings.policy_kwargs make a network that nothing plays but the library "
            f"that trains it: it differs in {', '.join(names[:3])}",
            cure="leave out what changes the kinds of its layers",
        )


def _check_observations(name: str, observations: gym.Space[Any]) -> None:
    if not reads(observations):
        raise ConfigError(
            f"without the observe role {name} reads the raw observations, "
            f"but cannot read {observations}",
            cure="turn the observe role on, or flatten the observations in a wrapper",
        )
