"""Random play: as a model would read it, and the texts of its states."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from dragoman.describe.masks import MASK
from dragoman.describe.moment import Moment, MomentMaker, moment_of
from dragoman.maths.seeds import derive_seed
from dragoman.types import Describer, Info


def rollout(
    env: gym.Env[Any, Any], describer: Describer, *, steps: int, seed: int = 0
) -> Iterator[str]:
    """Yield, line by line, what a model would read of a random episode.

    Actions are drawn where ``info["action_mask"]`` is 1 and written as in
    ``info["action_texts"]``, where the environment reports these.
    """
    make = MomentMaker(lambda: describer, env.action_space)
    env.action_space.seed(seed)
    moment = make(*env.reset(seed=seed))
    yield f"0: {moment.state}"
    for step in range(1, steps + 1):
        action = random_action(env.action_space, moment.info)
        yield f"   > {moment.action_text(action)}"
        observation, reward, terminated, truncated, info = env.step(action)
        moment = make(observation, info)
        ending = " (terminated)" if terminated else " (truncated)" if truncated else ""
        yield f"{step}: {moment.state} [reward {reward:g}]{ending}"
        if terminated or truncated:
            moment = make(*env.reset())
            yield f"   reset: {moment.state}"


def random_action(space: gym.Space[Any], info: Info) -> Any:
    """Return a random action, one that the mask of this moment allows where there is one."""
    mask = info.get(MASK)
    if isinstance(space, gym.spaces.Discrete) and mask is not None:
        return space.sample(mask=np.asarray(mask, dtype=np.int8))
    return space.sample()


def random_actions(
    space: gym.Space[Any], *, seed: int = 0
) -> Callable[[Sequence[Any], Sequence[Mapping[str, Any]]], list[Any]]:
    """Return a policy that draws uniformly from an action space, or from what is not masked."""
    space.seed(derive_seed("random policy", seed))
    return lambda observations, infos: [random_action(space, info) for info in infos]


def sample_texts(env: gym.Env[Any, Any], make: MomentMaker, seed: int, steps: int) -> list[str]:
    """Return the texts of the states that `sample_moments` goes through, in their order."""
    return [moment.state for moment in sample_moments(env, make, seed, steps)]


def sample_moments(
    env: gym.Env[Any, Any], make: MomentMaker, seed: int, steps: int
) -> Iterator[Moment]:
    """Yield the moments that uniformly random play goes through, in their order.

    Args:
        env: The environment to play, which is closed then.
        make: Makes its moments.
        seed: Names the play.
        steps: Steps to take.
    """
    act = random_actions(env.action_space, seed=derive_seed("sampled play", seed))
    observation, info = env.reset(seed=derive_seed("sampled start", seed))
    yield moment_of(observation, info, make)
    for _ in range(steps):
        observation, _, ended, cut, info = env.step(act([observation], [info])[0])
        yield moment_of(observation, info, make)
        if ended or cut:
            observation, info = env.reset()
            yield moment_of(observation, info, make)
    env.close()
