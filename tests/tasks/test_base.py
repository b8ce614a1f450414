"""What holds of every environment with named actions and a text of its own."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import dragoman.tasks  # noqa: F401  (registers the environments)
from dragoman.errors import ConfigError, SpaceError

FIVE = ("nothing", "a little", "the usual", "a lot", "the maximum")
KINDS = [
    ("JobShop", {}),
    ("JobShop", {"instance": "ft06"}),
    ("JobShop", {"jobs": 3, "machines": 7, "reward": "final"}),
    ("CVRP", {}),
    ("CVRP", {"stops": 1}),
    ("CVRP", {"stops": 30, "reward": "final"}),
    ("Knapsack", {}),
    ("Knapsack", {"kind": "bounded"}),
    ("Knapsack", {"items": 1, "capacity": 99}),
    ("Inventory", {}),
    ("Inventory", {"levels": FIVE, "days": 3}),
]
every_kind = pytest.mark.parametrize(("name", "settings"), KINDS)


def make(name: str, settings: dict, **more: object) -> gym.Env:
    return gym.make(f"dragoman/{name}-v0", **settings, **more)


def agree(mask: np.ndarray, texts: list[str]) -> None:
    """Exactly the allowed actions have a text, and some are allowed, after the end too."""
    assert mask.dtype == np.int8
    assert mask.any()
    assert [bool(text) for text in texts] == mask.astype(bool).tolist()


@every_kind
@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
def test_gymnasium_finds_nothing_to_warn_of(name: str, settings: dict, mode: str) -> None:
    check_env(make(name, settings, render_mode=mode).unwrapped)


@every_kind
@pytest.mark.parametrize("masked", [True, False])
def test_a_thousand_random_steps_and_texts_that_map_back(
    name: str, settings: dict, masked: bool
) -> None:
    env = make(name, settings)
    env.action_space.seed(1)
    observation, info = env.reset(seed=1)
    spoken = env.unwrapped
    for _ in range(1000):
        assert env.observation_space.contains(observation)
        assert info["text"] == spoken.text()
        mask, texts = info["action_mask"], info["action_texts"]
        agree(mask, texts)
        for action in np.flatnonzero(mask).tolist():
            assert spoken.action_text(action) == texts[action]
            assert spoken.action_of(texts[action]) == action
        action = env.action_space.sample(mask=mask if masked else None)
        observation, _, terminated, truncated, info = env.step(action)
        assert not truncated
        if terminated:
            agree(info["action_mask"], info["action_texts"])
            observation, info = env.reset()


@every_kind
def test_texts_and_pictures(name: str, settings: dict) -> None:
    env = make(name, settings, render_mode="ansi")
    env.reset(seed=0)
    assert env.render() == env.unwrapped.text()
    assert make(name, settings).unwrapped.render() is None
    with pytest.raises(ConfigError, match="choose from 'ansi', 'rgb_array' or None"):
        # Of its class, since Gymnasium would wrap it for a window.
        type(env.unwrapped)(**settings, render_mode="human")
    with pytest.raises(SpaceError, match="no action reads 'dance'"):
        env.unwrapped.action_of("dance")
    with pytest.raises(SpaceError, match="is outside 0 to"):
        env.unwrapped.action_text(env.action_space.n)
