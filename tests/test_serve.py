"""Environments as OpenEnv servers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from dragoman.describe import describe_env
from dragoman.describe.moment import MomentMaker
from dragoman.environments import environment_spec, make_environment
from dragoman.errors import ConfigError, SpaceError
from dragoman.serve import Session, make_app, read_action

Serve = Callable[..., str]


class Slow(gym.Env[int, int]):
    """Takes a second for its second action."""

    def __init__(self) -> None:
        self.observation_space = gym.spaces.Discrete(9)
        self.action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return 0, {"action_texts": ["go", "wait"]}

    def step(self, action: int) -> Any:
        time.sleep(float(action))
        return 1, 1.0, False, False, {"action_texts": ["go", "wait"]}


def session(name: str, **settings: Any) -> Session:
    return Session(environment_spec(name, max_episode_steps=5), settings, timeout=0.5)


def test_a_session_is_played_in_words() -> None:
    one = session("FrozenLake-v1", is_slippery=False)
    with pytest.raises(SpaceError, match="no episode is on"):
        one.step("move left")
    first = one.reset(3)
    assert first["actions"] == ["move left", "move down", "move right", "move up"]
    assert "row 0, column 0" in first["text"] or "upper left" in first["text"] or first["text"]
    with pytest.raises(SpaceError, match="'fly' is none of those that are valid now") as told:
        one.step("fly")
    assert "move left" in told.value.cure
    for _ in range(4):
        assert not one.step(" Move LEFT ")["done"]  # the bad action took no step
    last = one.step("move left")
    assert (last["done"], last["terminated"], last["truncated"]) == (True, False, True)
    with pytest.raises(SpaceError, match="no episode is on"):
        one.step("move left")


def test_a_step_that_takes_too_long_is_left_alone() -> None:
    one = session("tests.test_serve:Slow")
    one.reset(0)
    with pytest.raises(SpaceError, match=r"takes longer than 0.5 s"):
        one.step("wait")
    with pytest.raises(SpaceError, match="no episode is on"):
        one.step("go")
    assert one.reset(0)["reward"] is None
    assert one.step("go")["reward"] == 1.0
    one.close()


def test_numbers_are_said_as_json() -> None:
    env = gym.make("Pendulum-v1")
    moment = MomentMaker(lambda: describe_env(env), env.action_space)(*env.reset(seed=0))
    assert read_action(env.action_space, "[0.5]", moment) == np.float32([0.5])
    for wrong in ("left", "[9]", "[1, 2]"):
        with pytest.raises(SpaceError, match="is not numbers in JSON"):
            read_action(env.action_space, wrong, moment)


@pytest.fixture
def serve() -> Iterator[Serve]:
    pytest.importorskip("openenv", reason="needs the extra 'serve'")
    import uvicorn

    servers = []

    def start(name: str, **how: Any) -> str:
        app = make_app(name, **how)
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error")
        one = uvicorn.Server(config)
        threading.Thread(target=one.run, daemon=True).start()
        servers.append(one)
        while not one.started:
            time.sleep(0.02)
        return f"http://127.0.0.1:{one.servers[0].sockets[0].getsockname()[1]}"

    yield start
    for one in servers:
        one.should_exit = True


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of FastAPI, by OpenEnv
def test_a_served_environment_is_the_same_at_both_ends(serve: Serve) -> None:
    from openenv.cli._validation import validate_running_environment

    url = serve("FrozenLake-v1", settings={"is_slippery": False})
    report = validate_running_environment(url)
    assert report["passed"], report
    near = make_environment(environment_spec("FrozenLake-v1"), {"is_slippery": False})
    far, other = (make_environment(environment_spec(f"openenv:{url}")) for _ in range(2))
    near.reset(seed=1)
    far.reset(seed=1)
    other.reset(seed=1)
    for action in (2, 2, 1, 1, 1, 2):
        ours, theirs = near.step(action), far.step(action)
        assert theirs[1:4] == ours[1:4]
        assert theirs[4]["action_texts"] == ["move left", "move down", "move right", "move up"]
    assert theirs[2]
    # The other session has stood still all the time.
    assert other.step(0)[0] == far.reset()[0]
    for env in (far, other):
        env.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_cannot_be_done_is_told_to_the_client(serve: Serve) -> None:
    url = serve("tests.text_tasks:Letters", timeout=5.0)
    env = make_environment(environment_spec(f"openenv:{url}"))
    env.reset(seed=1)
    with pytest.raises(SpaceError, match="'A' is not a text in Text"):
        env.step("A")
    assert env.step("b")[2]
    env.close()


def test_what_no_text_says_is_refused() -> None:
    pytest.importorskip("openenv", reason="needs the extra 'serve'")
    with pytest.raises(ConfigError, match="which no text says"):
        make_app("tests.test_serve:Two")


class Two(Slow):
    """Takes two actions at once."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = gym.spaces.Tuple([gym.spaces.Discrete(2)] * 2)
