from __future__ import annotations

from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from dragoman.environments.copies import Copies


class Telling(gym.Env[Any, Any]):
    """Draws observations, rewards, ends and what it says of them."""

    action_space = gym.spaces.Discrete(3)

    def __init__(self, space: gym.Space[Any]) -> None:
        self.observation_space = space

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.observation_space.seed(int(self.np_random.integers(1000)))
        return self.observation_space.sample(), {"begun": float(self.np_random.random())}

    def step(self, action: Any) -> Any:
        draw = self.np_random.random(4)
        info = (
            {"place": np.full(2, draw[0]), "part": {"word": str(action)}} if draw[1] < 0.5 else {}
        )
        return self.observation_space.sample(), draw[0], draw[2] < 0.2, draw[3] < 0.1, info


SPACES: dict[str, gym.Space[Any]] = {
    "vector": gym.spaces.Box(-1, 1, (3,), np.float32),
    "picture": gym.spaces.Box(0, 255, (2, 3, 3), np.uint8),
    "number": gym.spaces.Box(-1, 1, (), np.float64),
    "choice": gym.spaces.Discrete(5, start=-2),
    "parts": gym.spaces.Dict(
        a=gym.spaces.Box(-1, 1, (2,), np.float64), b=gym.spaces.Text(3), c=gym.spaces.Discrete(2)
    ),
}


def same(ours: Any, theirs: Any) -> None:
    """Compare arrays, mappings of arrays and rows of anything, with their types."""
    assert type(ours) is type(theirs)
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for key, value in theirs.items():
            same(ours[key], value)
    elif isinstance(theirs, np.ndarray) and theirs.dtype != object:
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    elif isinstance(theirs, list | tuple | np.ndarray):
        for one, other in zip(ours, theirs, strict=True):
            same(one, other)
    else:
        assert ours == theirs


@pytest.mark.parametrize("copies_observations", [True, False])
@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("space", SPACES)
def test_copies_return_what_those_of_gymnasium_do(
    space: str, mode: AutoresetMode, copies_observations: bool
) -> None:
    # Each has a space of its own, which holds the random numbers of what is drawn from it.
    ours, theirs = (
        kind(
            [lambda: Telling(deepcopy(SPACES[space]))] * 3,
            copy=copies_observations,
            autoreset_mode=mode,
        )
        for kind in (Copies, SyncVectorEnv)
    )
    same(ours.reset(seed=5), theirs.reset(seed=5))
    given: list[Any] = []
    for step in range(40):
        if mode == AutoresetMode.DISABLED and (theirs._autoreset_envs).any():
            mask = theirs._autoreset_envs.copy()
            ours_begun, begun = (
                envs.reset(options={"reset_mask": mask.copy()}) for envs in (ours, theirs)
            )
            same(ours_begun, begun)
        actions = np.array([step, step + 1, step + 2]) % 3
        result, expected = ours.step(actions), theirs.step(actions)
        same(result, expected)
        given.append((result, deepcopy(result)))
    # What was handed over stays as it was, but for observations that nobody wanted copied.
    for result, before in given:
        same(result[0 if copies_observations else 1 :], before[0 if copies_observations else 1 :])


def test_an_observation_of_another_shape_is_not_put_among_those_of_others() -> None:
    envs = Copies([lambda: Telling(SPACES["vector"])] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    envs.reset(seed=0)
    for env in envs.envs:
        env.unwrapped.observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="shape"):
        envs.step(np.zeros(2, int))
