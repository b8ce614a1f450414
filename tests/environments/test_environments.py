from __future__ import annotations

import os
import re
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import gymnasium as gym
import pytest

from dragoman.environments import (
    environment_spec,
    make_environment,
    refuse_endless,
    render_without_display,
)
from dragoman.errors import ConfigError, DragomanError, SpaceError

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
    # After all others, so that it shadows no package.
    assert sys.path.index(str(own.parent)) > sys.path.index(sysconfig.get_path("purelib"))


def test_class_in_a_module() -> None:
    spec = environment_spec("tests.counting_env:Counting")
    assert make_environment(spec, {"first": 9}).unwrapped.first == 9


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CartPol-v1", "did you mean 'CartPole-v"),
        ("cartpole-v1", "did you mean 'CartPole-v1'"),
        ("no_such_module_here:Env", "no module named 'no_such_module_here'"),
        ("no_such_file.py:Env", "there is no file no_such_file.py"),
        ("tests.counting_env:Countin", "did you mean 'Counting'"),
        ("Taxi-v3", f"'Taxi-v3' is not in Gymnasium {gym.__version__}, which has 'Taxi-v4'"),
        ("gymnasium:Taxi-v3", "which has 'Taxi-v4'"),
        ("Blackjack-v0", "which has 'Blackjack-v1'"),
    ],
)
def test_what_cannot_be_found_says_so(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        environment_spec(name)
    assert error.value.cure


def test_refused_settings_name_them() -> None:
    with pytest.raises(ConfigError, match=r"'CartPole-v1' refuses the settings \{'wind': 3\}"):
        make_environment(environment_spec("CartPole-v1"), {"wind": 3})


def test_whole_numbers_may_be_written_as_floats(tmp_path: Path) -> None:
    file = tmp_path / "sized.py"
    file.write_text(
        "import gymnasium as gym\n\n\n"
        "class Sized(gym.Env):\n"
        "    observation_space = action_space = gym.spaces.Discrete(2)\n\n"
        "    def __init__(self, size=3, most: 'int | None' = None, far=1.0, render_mode=None):\n"
        "        self.given = (size, most, far)\n"
    )
    settings = {"size": 1e1, "most": 1e3, "far": 1e2}
    given = make_environment(environment_spec(f"{file}:Sized"), settings).unwrapped.given
    assert list(map(repr, given)) == ["10", "1000", "100.0"]


def test_what_moved_elsewhere_names_its_newest_version() -> None:
    with pytest.raises(ConfigError, match=r"'Ant-v3' cannot be imported: .*moved") as error:
        make_environment(environment_spec("Ant-v3"))
    assert error.value.cure == "use 'Ant-v5'"


def test_a_missing_import_is_named(tmp_path: Path) -> None:
    file = tmp_path / "wants.py"
    file.write_text(OWN.replace("self.size = size", "import no_such_package_here"))
    with pytest.raises(ConfigError, match="No module named 'no_such_package_here'") as error:
        make_environment(environment_spec(f"{file}:Mine"))
    assert error.value.cure == "install the package it names"


@pytest.mark.parametrize("env_id", ["CliffWalking-v1", "CliffWalkingSlippery-v1"])
def test_what_may_never_end_needs_a_time_limit(env_id: str) -> None:
    with pytest.raises(ConfigError, match=f"{env_id}' has no time limit") as error:
        refuse_endless(environment_spec(env_id))
    assert error.value.cure == "set max_episode_steps: 200 in the experiment"
    refuse_endless(environment_spec(env_id, max_episode_steps=200))


def test_what_ends_by_itself_needs_no_time_limit(own: Path) -> None:
    for name in ("Blackjack-v1", "FrozenLake-v1", f"{own}:Mine"):
        refuse_endless(environment_spec(name))


def robot_arm(monkeypatch: pytest.MonkeyPatch, package: str) -> gym.envs.registration.EnvSpec:
    """Register what fails as gymnasium-robotics' FetchReach-v4 does beside MuJoCo 4."""

    class Fetch(gym.Env):
        def __init__(self) -> None:
            # Of gymnasium_robotics.utils.mujoco_utils.set_joint_qpos: no message.
            raise AssertionError

    module = ModuleType(f"{package}.envs.fetch.reach")
    module.MujocoFetchReachEnv = Fetch
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return gym.envs.registration.EnvSpec(
        "FetchReach-v4", f"{module.__name__}:MujocoFetchReachEnv", max_episode_steps=50
    )


@pytest.mark.parametrize(
    ("mujoco", "package", "is_known"),
    [
        ("4.0.0", "gymnasium_robotics", True),
        ("3.3.0", "gymnasium_robotics", False),
        ("4.0.0", "another_package", False),
    ],
)
def test_robot_arms_that_mujoco_4_broke_name_the_versions(
    mujoco: str, package: str, is_known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = robot_arm(monkeypatch, package)
    versions = {"mujoco": mujoco, "gymnasium-robotics": "1.4.3"}
    monkeypatch.setattr("importlib.metadata.version", versions.__getitem__)
    with pytest.raises(ConfigError) as error:
        make_environment(spec)
    assert ("cannot be made: AssertionError" in str(error.value)) != is_known
    if is_known:
        assert "gymnasium-robotics 1.4.3 does not work with MuJoCo 4.0.0" in str(error.value)
        assert "mujoco<4" in error.value.cure


@pytest.mark.parametrize(
    ("given", "mujoco", "pygame"),
    [
        ({}, "egl", "dummy"),
        ({"DISPLAY": ":0"}, None, None),
        ({"WAYLAND_DISPLAY": "wayland-0"}, None, None),
        ({"MUJOCO_GL": "osmesa"}, "osmesa", "dummy"),
        ({"SDL_VIDEODRIVER": "x11"}, "egl", "x11"),
    ],
)
def test_pictures_are_drawn_without_a_screen_unless_told_how(
    given: dict, mujoco: str | None, pygame: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL", "SDL_VIDEODRIVER"):
        # Set first, so that what the call sets is undone as well.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    render_without_display()
    chosen = (mujoco, pygame) if sys.platform == "linux" else (None, None)
    assert (os.environ.get("MUJOCO_GL"), os.environ.get("SDL_VIDEODRIVER")) == chosen


OLDER = [
    ("FourValues", "step() returns 4 values instead of observation, reward, terminated", "trunc"),
    ("NoTuple", "step() returns None instead of observation", "return observation, reward, term"),
    ("NoSeed", "reset() takes no seed and no options", "def reset(self, *, seed=None, options="),
    ("NoOptions", "reset() takes no options", "def reset(self, *, seed=None, options=None)"),
    ("NoInfo", "reset() returns 0 instead of an observation and an info", "return observation, {}"),
    ("ThreeValues", "reset() returns (0, {}, False) instead of", "return observation, {}"),
]
"""What an environment of Gym's does, what is said of it, and of what helps."""


@pytest.mark.parametrize("limit", [None, 5])
@pytest.mark.parametrize(("name", "problem", "cure"), OLDER)
def test_an_environment_of_an_older_interface_learns_what_to_write_and_where(
    name: str, problem: str, cure: str, limit: int | None
) -> None:
    file = str(Path(__file__).parents[1] / "old_api_envs.py")
    spec = environment_spec(f"{file}:{name}", max_episode_steps=limit)

    def play() -> None:
        env = make_environment(spec)
        env.reset(seed=0)
        env.step(0)

    with pytest.raises(SpaceError, match=re.escape(problem)) as error:
        play()
    assert error.value.problem.startswith(f"environment {name} in {file}: ")
    assert cure in error.value.cure


def test_a_reset_that_takes_anything_is_taken() -> None:
    spec = environment_spec("tests.old_api_envs:TakesAnything", max_episode_steps=2)
    env = make_environment(spec)
    assert env.reset(seed=0)[0] == 0
    assert [env.step(0)[3] for _ in range(2)] == [False, True]
    # Gymnasium can make it again, as vector environments of other processes do.
    assert gym.make(env.unwrapped.spec).reset(seed=0)[0] == 0


@pytest.mark.parametrize(
    ("name", "package", "cure"),
    [
        ("ALE/Pong-v6", "ale_py", "pip install 'dragoman[atari]'"),
        ("MiniGrid-Nowhere-v0", "minigrid", "pip install 'dragoman[minigrid]'"),
        ("FetchReach-v4", "gymnasium_robotics", "pip install 'gymnasium-robotics'"),
        ("AntMaze_UMaze-v5", "gymnasium_robotics", "pip install 'gymnasium-robotics'"),
        ("MiniWorld-Maze-v0", "miniworld", "pip install 'miniworld'"),
        ("parking-v0", "highway_env", "pip install 'highway-env'"),
        ("dm_control/acrobot-swingup-v0", "shimmy", "pip install 'shimmy[dm-control]'"),
    ],
)
def test_an_id_of_a_package_says_how_to_install_it(
    name: str, package: str, cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DragomanError, match=package) as error:
        environment_spec(name)
    assert error.value.cure == cure


def test_games_of_atari_are_found_by_their_own_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment_spec("ALE/Pong-v5").entry_point == "ale_py.env:AtariEnv"


def test_an_import_of_gym_names_the_line_to_write(tmp_path: Path) -> None:
    file = tmp_path / "older.py"
    file.write_text("import gym\n")
    with pytest.raises(ConfigError, match="No module named 'gym'") as error:
        environment_spec(f"{file}:Mine")
    assert error.value.cure.startswith(f"write 'import gymnasium as gym' in {file}")
    file.write_text("import no_such_package_here.inner\n")
    with pytest.raises(ConfigError, match="imports what is not installed") as error:
        environment_spec(f"{file}:Mine")
    assert error.value.cure == f"install no_such_package_here, or correct the import in {file}"


def test_a_class_that_is_no_environment_says_what_it_derives_from() -> None:
    with pytest.raises(ConfigError, match=r"derives from builtins.object") as error:
        environment_spec("tests.old_api_envs:NoEnvironment")
    assert error.value.cure.endswith("derive from gym.Env in tests.old_api_envs")
