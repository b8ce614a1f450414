from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dragoman.environments import environment_spec, make_environment
from dragoman.errors import ConfigError

OWN = '''
import gymnasium as gym

class Mine(gym.Env):
    """Mine."""
    observation_space = gym.spaces.Discrete(3)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, size: int = 3) -> None:
        self.size = size

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        return 1, 0.0, False, False, {}
'''


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "my_env.py"
    file.write_text(OWN)
    return file


def test_registered_id() -> None:
    assert environment_spec("CartPole-v1").max_episode_steps == 500


def test_time_limit_override_leaves_the_registry_alone() -> None:
    assert environment_spec("CartPole-v1", max_episode_steps=7).max_episode_steps == 7
    assert environment_spec("CartPole-v1").max_episode_steps == 500


def test_class_in_a_file(own: Path) -> None:
    spec = environment_spec(f"{own}:Mine", max_episode_steps=2)
    env = make_environment(spec, {"size": 4})
    assert env.unwrapped.size == 4
    env.reset(seed=0)
    assert [env.step(0)[3] for _ in range(2)] == [False, True]
    assert str(own.parent) not in sys.path


def test_class_in_a_module() -> None:
    spec = environment_spec("tests.counting:Counting")
    assert make_environment(spec, {"first": 9}).unwrapped.first == 9


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CartPol-v1", "did you mean 'CartPole-v"),
        ("cartpole-v1", "did you mean 'CartPole-v1'"),
        ("no_such_module_here:Env", "no module named 'no_such_module_here'"),
        ("no_such_file.py:Env", "there is no file no_such_file.py"),
        ("tests.counting:Countin", "did you mean 'Counting'"),
    ],
)
def test_what_cannot_be_found_says_so(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        environment_spec(name)
    assert error.value.cure


def test_refused_settings_name_them() -> None:
    with pytest.raises(ConfigError, match=r"'CartPole-v1' refuses the settings \{'wind': 3\}"):
        make_environment(environment_spec("CartPole-v1"), {"wind": 3})
