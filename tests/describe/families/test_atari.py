from __future__ import annotations

import gymnasium as gym
import pytest

from dragoman.describe import describe_env
from dragoman.testing import check_describer


@pytest.mark.parametrize(("game", "word"), [("Breakout", "Lives 5"), ("Pong", "You 0")])
def test_the_memory_of_ales_own_environments_is_described(game, word):
    env = gym.make(f"ale_py:ALE/{game}-v5", obs_type="ram")
    describer = describe_env(env)
    assert word in describer.observation(*env.reset(seed=0))
    check_describer(describer, env)


def test_pictures_and_other_games_are_described_as_before():
    screen = gym.make("ale_py:ALE/Pong-v5", obs_type="rgb")
    assert "image of" in describe_env(screen).observation(*screen.reset(seed=0))
    other = gym.make("ale_py:ALE/Asteroids-v5", obs_type="ram")
    assert "Lives" not in describe_env(other).observation(*other.reset(seed=0))
