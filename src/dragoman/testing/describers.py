"""What every describer must keep."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from dragoman.errors import SpaceError
from dragoman.types import Describer


def check_describer(
    describer: Describer, env: gym.Env[Any, Any], *, steps: int = 50, seed: int = 0
) -> None:
    """Check that a describer keeps the promises of `dragoman.types.Describer`.

    >>> from dragoman.describe import describe_env
    >>> env = gym.make("CartPole-v1")
    >>> check_describer(describe_env(env), env)

    Args:
        describer: The describer to check.
        env: An environment it was made for; it is reset and stepped with random actions.
        steps: How many steps to take.
        seed: Seed of environment and actions.

    Raises:
        AssertionError: A promise is broken.
    """
    moments: list[tuple[Any, Any, str]] = []
    env.action_space.seed(seed)
    observation, info = env.reset(seed=seed)
    for _ in range(steps):
        text = describer.observation(observation, info)
        _check_text(text, f"observation {observation!r}")
        moments.append((observation, info, text))
        action = env.action_space.sample()
        _check_text(describer.action(action), f"action {action}")
        observation, _, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            observation, info = env.reset()
    # Backwards, so that a describer that remembers the last call is caught.
    for observation, info, text in reversed(moments):
        again = describer.observation(observation, info)
        assert again == text, f"one observation was described in two ways: {text!r} and {again!r}"
    if isinstance(env.action_space, gym.spaces.Discrete):
        first, count = int(env.action_space.start), int(env.action_space.n)
        names = [describer.action(action) for action in range(first, first + count)]
        assert len(set(names)) == count, f"two actions have one text: {names}"
    if (
        isinstance(env.observation_space, gym.spaces.Box)
        and env.observation_space.dtype.kind == "f"
    ):
        _check_refuses_nan(describer, moments[0][0], moments[0][1])


def _check_text(text: Any, of: str) -> None:
    assert isinstance(text, str), f"{of} was described by {type(text).__name__}, not by a string"
    assert text.strip(), f"{of} was described by an empty text"


def _check_refuses_nan(describer: Describer, observation: Any, info: Any) -> None:
    broken = np.array(observation, copy=True)
    broken.flat[0] = np.nan
    try:
        text = describer.observation(broken, info)
    except SpaceError:
        return
    raise AssertionError(f"an observation with NaN was described by {text!r}")
