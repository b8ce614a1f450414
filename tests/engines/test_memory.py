from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from dragoman.engines.memory import refuse_rollout
from dragoman.errors import ConfigError


def test_a_rollout_may_fill_half_of_the_memory() -> None:
    space = gym.spaces.Dict(
        actions=gym.spaces.Box(-1, 1, (5, 4), np.float32), mask=gym.spaces.Box(0, 1, (5,), np.int8)
    )
    size = 10 * 3 * (5 * 4 * 4 + 5)
    refuse_rollout(space, 10, 3, memory=2 * size)
    with pytest.raises(ConfigError, match=r"most of it 'actions' of shape \(5, 4\)"):
        refuse_rollout(space, 10, 3, memory=2 * size - 1)
    plain = gym.spaces.Box(-1, 1, (4,), np.float64)
    refuse_rollout(plain, 10, 3, memory=2 * 10 * 3 * 32)
    with pytest.raises(ConfigError, match="'observation' of shape"):
        refuse_rollout(plain, 10, 3, memory=2 * 10 * 3 * 32 - 1)
