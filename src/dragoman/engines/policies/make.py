"""The untrained policy of an experiment, into which an engine's weights are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import gymnasium as gym
from gymnasium.spaces import Box, Dict
from torch import nn

from dragoman.engines.policies.actor_critic import ActorCritic, ActorCriticPolicy, outputs
from dragoman.engines.policies.continuous import ContinuousActor, ContinuousPolicy
from dragoman.engines.policies.features import PICTURE_FEATURES, Features
from dragoman.engines.policies.noise import Noise
from dragoman.engines.policies.policy import Policy, layers
from dragoman.engines.policies.recurrent import RecurrentActorCritic, RecurrentPolicy
from dragoman.engines.policies.values import ActionValues, GreedyPolicy
from dragoman.engines.policies.written import WritingPolicy
from dragoman.experiment import Experiment
from dragoman.experiment.checks import POLICY_GRADIENT, RECURRENT
from dragoman.models.cache import torch_model_of, without_memory
from dragoman.roles.act import policy as act
from dragoman.roles.act.written import WrittenPolicy
from dragoman.roles.observe.settings import Observe

CRITICS = 2
LSTM_UNITS = 256
"""Of each layer of an LSTM, as SB3-Contrib has it."""
LARGEST_MEAN = 2.0
"""Of SAC, where its noise depends on the state."""


def make_policy(
    experiment: Experiment,
    observations: gym.Space[Any],
    actions: gym.Space[Any],
    model: Any = None,
) -> Policy:
    """Return the untrained policy of an experiment.

    Args:
        experiment: What was trained.
        observations: What the policy reads.
        actions: What it chooses from, counted from zero.
        model: The language model, where the act role trains it.
    """
    if experiment.act is not None:
        module = make_action_policy(experiment, observations, actions, model)
        device = device_of(experiment, model)
        if isinstance(module, WrittenPolicy):
            return WritingPolicy(module, actions, device=device)
        return ActorCriticPolicy(module, actions, device=device)
    settings = network_settings(experiment)
    name = experiment.algorithm.name
    if name in POLICY_GRADIENT:
        return _actor_critic(settings, observations, actions)
    if name == RECURRENT:
        return _recurrent(settings, observations, actions)
    if name == "dqn":
        features, width = _features(settings, observations)
        network = layers(width, _hidden(settings, "pi"), outputs(actions), nn.ReLU)
        return GreedyPolicy(ActionValues(features, network), actions)
    assert isinstance(actions, Box)
    return _continuous(settings, observations, actions, draws=name == "sac")


def make_action_policy(
    experiment: Experiment,
    observations: gym.Space[Any],
    actions: gym.Space[Any],
    model: Any = None,
) -> act.ActionPolicy | WrittenPolicy:
    """Return the untrained module of the act role, see `make_policy`."""
    assert experiment.act is not None
    assert isinstance(observations, Dict)
    return act.make_policy(
        experiment.act,
        observations,
        actions,
        experiment.algorithm.network,
        model=torch_model_of(model),
        pooling=(experiment.observe or Observe()).pooling,
    )


def device_of(experiment: Experiment, model: Any) -> Any:
    """Return where policies compute: on the processor, unless the model is part of them.

    Features arrive as NumPy arrays and the network on them is small: the processor wins.
    """
    is_part = experiment.act is not None and experiment.act.tune is not None
    return getattr(without_memory(model), "device", "cpu") if is_part else "cpu"


def network_settings(experiment: Experiment) -> dict[str, Any]:
    """Return what decides the network of an experiment without the act role."""
    settings = experiment.algorithm.settings
    own = {
        key: value for key, value in settings.get("policy_kwargs", {}).items() if value is not None
    }
    use_sde = {"use_sde": settings["use_sde"]} if "use_sde" in settings else {}
    return {"net_arch": list(experiment.algorithm.network), **own, **use_sde}


def _actor_critic(
    settings: Mapping[str, Any], observations: gym.Space[Any], actions: gym.Space[Any]
) -> ActorCriticPolicy:
    features, width = _both_features(settings, observations)
    heads, noise = _heads(settings, width, actions)
    module = ActorCritic(*features, *heads, actions, noise)
    return ActorCriticPolicy(module, actions, squashes=settings.get("squash_output", False))


def _recurrent(
    settings: Mapping[str, Any], observations: gym.Space[Any], actions: gym.Space[Any]
) -> RecurrentPolicy:
    features, width = _both_features(settings, observations)
    units = settings.get("lstm_hidden_size", LSTM_UNITS)
    make = partial(
        nn.LSTM, width, units, settings.get("n_lstm_layers", 1), **settings.get("lstm_kwargs", {})
    )
    memory = make()
    critic_memory: nn.LSTM | nn.Linear | None = None
    if settings.get("enable_critic_lstm", True):
        critic_memory = make()
    elif not settings.get("shared_lstm", False):
        critic_memory = nn.Linear(width, units)
    heads, noise = _heads(settings, units, actions)
    module = RecurrentActorCritic(memory, critic_memory, *features, *heads, actions, noise)
    return RecurrentPolicy(module, actions)


def _both_features(
    settings: Mapping[str, Any], observations: gym.Space[Any]
) -> tuple[tuple[nn.Module, nn.Module], int]:
    """Return what makes features for actor and critic, which may be one module, and their width."""
    features, width = _features(settings, observations)
    is_shared = settings.get("share_features_extractor", True)
    return (features, features if is_shared else _features(settings, observations)[0]), width


def _heads(
    settings: Mapping[str, Any], width: int, actions: gym.Space[Any]
) -> tuple[tuple[nn.Module, nn.Linear, nn.Module, nn.Linear], Noise | None]:
    """Return what stands on features of this width: actor, action, critic and value; and noise."""
    of_actor, of_critic, count = _hidden(settings, "pi"), _hidden(settings, "vf"), outputs(actions)
    latent = (width, *of_actor)[-1]
    heads = (
        layers(width, of_actor, 0, nn.Tanh),
        nn.Linear(latent, count),
        layers(width, of_critic, 0, nn.Tanh),
        nn.Linear((width, *of_critic)[-1], 1),
    )
    return heads, _noise(settings, count, latent) if isinstance(actions, Box) else None


def _continuous(
    settings: Mapping[str, Any], observations: gym.Space[Any], actions: Box, *, draws: bool
) -> ContinuousPolicy:
    features, width = _features(settings, observations)
    hidden, count = _hidden(settings, "pi"), outputs(actions)
    latent = (width, *hidden)[-1]
    depends = draws and settings.get("use_sde", False)
    log_std: nn.Linear | Noise | None = nn.Linear(latent, count) if draws else None
    critics = settings.get("n_critics", CRITICS)
    of_critic = _hidden(settings, "qf")
    module = ContinuousActor(
        features,
        _features(settings, observations)[0],
        layers(width, hidden, 0, nn.ReLU),
        nn.Linear(latent, count),
        _noise(settings, count, latent) if depends else log_std,
        [layers(width + count, of_critic, 1, nn.ReLU) for _ in range(critics)],
        (settings.get("clip_mean", LARGEST_MEAN) or None) if depends else None,
    )
    return ContinuousPolicy(module, actions, squashes=True)


def _noise(settings: Mapping[str, Any], count: int, latent: int) -> Noise:
    return Noise(
        count,
        latent if settings.get("use_sde", False) else None,
        each=settings.get("full_std", True),
        slow=settings.get("use_expln", False),
    )


def _features(settings: Mapping[str, Any], space: gym.Space[Any]) -> tuple[nn.Module, int]:
    """Return what makes features of observations, and how many."""
    own = settings.get("features_extractor_kwargs", {})
    features = Features(
        space,
        scale=settings.get("normalize_images", True),
        picture_features=own.get("cnn_output_dim", PICTURE_FEATURES),
    )
    return features, features.width


def _hidden(settings: Mapping[str, Any], part: str) -> tuple[int, ...]:
    """Return the units of the hidden layers of a part of the network."""
    result = settings["net_arch"]
    return tuple(result.get(part, ()) if isinstance(result, Mapping) else result)
