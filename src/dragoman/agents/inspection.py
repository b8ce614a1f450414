"""What a Stable-Baselines3 policy makes of one observation: probabilities, spreads, value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.dqn.policies import DQNPolicy
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy
from torch.distributions import Bernoulli, Categorical

from dragoman.agents.recording import Part, Weighed, Weighing

QUADRATURE_NODES = 64


def parts_of(space: gym.Space[Any], say: Callable[[Any], str]) -> tuple[Part, ...]:
    """Return the parts of an action.

    Args:
        space: Box, Discrete, MultiDiscrete or MultiBinary.
        say: Puts a whole action into words.
    """
    if isinstance(space, gym.spaces.Discrete):
        first = int(space.start)
        return (Part(options=tuple(say(first + index) for index in range(int(space.n)))),)
    if isinstance(space, gym.spaces.MultiDiscrete):
        sizes = zip(space.start.ravel().tolist(), space.nvec.ravel().tolist(), strict=True)
        return tuple(
            Part(f"part {i + 1}", tuple(str(first + index) for index in range(size)))
            for i, (first, size) in enumerate(sizes)
        )
    if isinstance(space, gym.spaces.MultiBinary):
        return tuple(Part(f"part {i + 1}", ("off", "on")) for i in range(int(np.prod(space.shape))))
    assert isinstance(space, gym.spaces.Box)
    bounds = zip(space.low.ravel().tolist(), space.high.ravel().tolist(), strict=True)
    several = int(np.prod(space.shape)) > 1
    return tuple(
        Part(f"part {i + 1}" if several else "", low=_finite(low), high=_finite(high))
        for i, (low, high) in enumerate(bounds)
    )


def weighing_of(policy: BasePolicy) -> Weighing:
    """Return what `weigh` puts beside the options of a discrete action."""
    return "action value" if isinstance(policy, DQNPolicy) else "probability"


def weigh(
    policy: BasePolicy, observation: Any, action: Any
) -> tuple[tuple[Weighed, ...], float | None]:
    """Return the policy's view of the parts of an action, and its value of the state.

    Args:
        policy: A trained policy.
        observation: A batch of one observation, as its ``predict`` takes it.
        action: The action that was taken, unbatched, as the policy counts it.
    """
    inputs, _ = policy.obs_to_tensor(observation)
    with torch.no_grad():
        if isinstance(policy, ActorCriticPolicy):
            return _actor_critic(policy, inputs, action)
        if isinstance(policy, DQNPolicy):
            values = policy.q_net(inputs)[0].tolist()
            return (Weighed(tuple(values), int(action)),), max(values)
        assert isinstance(policy, SACPolicy | TD3Policy)
        return _off_policy(policy, inputs, action)


def _actor_critic(
    policy: ActorCriticPolicy, inputs: Any, action: Any
) -> tuple[tuple[Weighed, ...], float]:
    value = float(policy.predict_values(inputs)[0])
    found: Any = policy.get_distribution(inputs).distribution
    flat = np.asarray(action).ravel().tolist()
    if isinstance(found, Categorical | list):
        parts = found if isinstance(found, list) else [found]
        return tuple(
            Weighed(tuple(part.probs[0].tolist()), one)
            for part, one in zip(parts, flat, strict=True)
        ), value
    if isinstance(found, Bernoulli):
        return tuple(
            Weighed((1 - on, on), one)
            for on, one in zip(found.probs[0].tolist(), flat, strict=True)
        ), value
    return _continuous(flat, found.mean[0].numpy(), found.stddev[0].numpy()), value


def _off_policy(
    policy: SACPolicy | TD3Policy, inputs: Any, action: Any
) -> tuple[tuple[Weighed, ...], float]:
    space = policy.action_space
    assert isinstance(space, gym.spaces.Box)
    scaled = torch.as_tensor(policy.scale_action(np.asarray(action)))[None]
    value = float(torch.cat(policy.critic(inputs, scaled), dim=1).min())
    if isinstance(policy, SACPolicy):
        location, log_std, _ = policy.actor.get_action_dist_params(inputs)
        means, spreads = squashed_moments(location[0].numpy(), log_std[0].exp().numpy())
    else:
        means = policy.actor(inputs)[0].numpy()
        spreads = np.zeros_like(means)
    half = (space.high - space.low).ravel() / 2
    unscaled = policy.unscale_action(means.astype(space.dtype).reshape(space.shape)).ravel()
    return _continuous(np.asarray(action).ravel().tolist(), unscaled, spreads * half), value


def squashed_moments(
    location: NDArray[Any], scale: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of ``tanh(x)`` for normal ``x``, by Gauss-Hermite rule.

    Args:
        location: Means of ``x``, ``(A,)``.
        scale: Standard deviations of ``x``, ``(A,)``.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(QUADRATURE_NODES)
    weights = weights / weights.sum()
    values = np.tanh(location + np.outer(nodes, scale))
    means = weights @ values
    return means, np.sqrt(weights @ (values - means) ** 2)


def _continuous(
    chosen: list[float], means: NDArray[Any], spreads: NDArray[Any]
) -> tuple[Weighed, ...]:
    return tuple(
        Weighed((), one, float(mean), float(spread))
        for one, mean, spread in zip(chosen, means.ravel(), spreads.ravel(), strict=True)
    )


def _finite(bound: float) -> float | None:
    return bound if np.isfinite(bound) else None
