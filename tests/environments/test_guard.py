from __future__ import annotations

import contextlib
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from dragoman.engines.train import train
from dragoman.environments import environment_spec
from dragoman.environments.guard import RESTARTED, BoundsWarning, Faults, Guard
from dragoman.environments.vector import make_vector
from dragoman.errors import ConfigError, SpaceError
from dragoman.experiment import Experiment
from tests.engines.resuming import StopAt, assert_same


class Unsound(gym.Env[Any, Any]):
    """Does something wrong in the third step of some episodes.

    Args:
        what: Which fault.
        every: In each so many-th episode.
        chance: Instead, in each episode by this chance.
    """

    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, what: str = "step raises", every: int = 3, chance: float = 0.0) -> None:
        self.what, self.every, self.chance = what, every, chance
        self.episodes = self.steps = 0
        self.is_wrong = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.episodes, self.steps = self.episodes + 1, 0
        self.is_wrong = self.episodes % self.every == 0
        if self.chance:
            self.is_wrong = self.np_random.random() < self.chance
        if self.what == "reset raises" and self.is_wrong:
            raise OSError("the simulator is gone")
        if self.what == "its space is another one now" and self.is_wrong:
            self.observation_space = gym.spaces.Box(-2, 2, (2,), np.float32)
        return self._seen(), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        observation, reward = self._seen(), float(action)
        if self.steps == 3 and self.is_wrong:
            if self.what == "step raises":
                raise ZeroDivisionError("division by zero")
            if self.what == "step calls sys.exit":
                sys.exit(3)
            if self.what == "step waits for ever":
                while True:
                    with contextlib.suppress(Exception):  # as careless environments do
                        time.sleep(0.01)
            if self.what == "step loops for ever":
                while True:
                    self.steps += 1
            change = VALUES.get(self.what, lambda step: step)
            return change((observation, reward, False, False, {}))
        return observation, reward, self.steps >= 6, False, {}

    def _seen(self) -> Any:
        return self.np_random.uniform(-1, 1, 2).astype(np.float32)


Step = tuple[Any, ...]
VALUES: dict[str, Callable[[Step], Step]] = {
    "observation is NaN": lambda step: (np.array([np.nan, 0], np.float32), *step[1:]),
    "observation has another shape": lambda step: (np.zeros(3, np.float32), *step[1:]),
    "observation is outside its bounds, with outside: fault": lambda step: (
        np.array([0, 1.5], np.float32),
        *step[1:],
    ),
    "observation is a text": lambda step: ("left", *step[1:]),
    "reward is NaN": lambda step: (step[0], float("nan"), *step[2:]),
    "reward is a text": lambda step: (step[0], "1.0", *step[2:]),
    "terminated is a text": lambda step: (*step[:2], "no", *step[3:]),
    "info is no mapping": lambda step: (*step[:4], None),
    "step returns four values": lambda step: step[:4],
}
HERE = f"{Path(__file__)}:Unsound"
PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
ROWS = re.findall(
    r"^\| ([^|]+) \| `(.+)` \| (cut off|reset again), counted \|$", PAGE.read_text(), re.M
)


def vector(what: str, **settings: Any) -> tuple[Any, Faults]:
    settings = {"outside": "fault", **settings}
    faults = Faults(Guard(seconds=0.3, **settings), lambda i, n: 100 * n + i)
    made = make_vector(environment_spec(HERE), 2, {"what": what}, faults=faults)
    return made, faults


def play(envs: Any, faults: Faults, steps: int) -> list[Any]:
    with faults.limiting():
        envs.reset(seed=[5, 6])
        return [envs.step(np.array([1, 0])) for _ in range(steps)]


def test_the_page_has_all_faults() -> None:
    assert {fault.replace("`", "") for fault, _, _ in ROWS} > VALUES.keys()
    assert len(ROWS) == len(VALUES) + 6


@pytest.mark.parametrize(("fault", "said", "after"), ROWS, ids=[row[0] for row in ROWS])
def test_a_fault_ends_it_and_its_place_is_named(fault: str, said: str, after: str) -> None:
    envs, faults = vector(fault.replace("`", ""))
    with pytest.raises(SpaceError) as caught:
        play(envs, faults, 60)
    step = 0 if after == "reset again" else 3
    assert said in caught.value.problem
    assert f"sub-environment 0, episode 3, step {step}" in caught.value.problem
    assert ("step(np.int64(1))" in caught.value.problem) == (step > 0)
    assert caught.value.cure
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


@pytest.mark.parametrize(("fault", "said", "after"), ROWS, ids=[row[0] for row in ROWS])
def test_a_copy_is_made_anew_and_counted(fault: str, said: str, after: str) -> None:
    envs, faults = vector(fault.replace("`", ""), on_fault="restart")
    steps = play(envs, faults, 30)
    # Each copy fails in its third episode, and the new one in the third of its own.
    assert faults.restarts == 4
    cut = [step for step in steps if RESTARTED in step[4].get("final_info", {})]
    if after == "reset again":
        assert not cut
        return
    observations, rewards, terminated, truncated, infos = cut[0]
    assert rewards.tolist() == [0, 0]
    assert (terminated.tolist(), truncated.tolist()) == ([False, False], [True, True])
    assert np.isfinite(np.stack(infos["final_obs"])).all()
    # The new copies are those of their seeds.
    for i, seed in enumerate((100, 201)):
        fresh, _ = Unsound().reset(seed=seed)
        np.testing.assert_array_equal(observations[i], fresh)


def test_observations_outside_their_bounds_are_told_once_and_counted() -> None:
    envs, faults = vector("observation is outside its bounds, with outside: fault", outside="warn")
    said = r"sub-environment 0, episode 3, step 3: the observation\[1\] is 1.5, outside its bounds"
    with pytest.warns(BoundsWarning, match=said) as told:
        steps = play(envs, faults, 60)
    assert len(told) == 1
    assert faults.outside == sum((step[0] == 1.5).sum() for step in steps) > 3
    assert faults.restarts == 0


def test_a_copy_that_fails_in_its_reset_begins_by_the_seed_that_was_asked_for() -> None:
    envs, faults = vector("reset raises", on_fault="restart")
    for _ in range(3):
        observations, _ = envs.reset(seed=[5, 6])
    assert faults.restarts == 2
    for i, seed in enumerate((5, 6)):
        np.testing.assert_array_equal(observations[i], Unsound().reset(seed=seed)[0])


def test_too_many_restarts_end_it() -> None:
    envs, faults = vector("step raises", on_fault="restart", most=2)
    with pytest.raises(SpaceError, match=r"division by zero.*; 2 copies were made anew before"):
        play(envs, faults, 60)


def test_orders_and_errors_of_others_pass() -> None:
    class Stopped(Unsound):
        def step(self, action: Any) -> Any:
            raise KeyboardInterrupt

    gym.register("Stopped-v0", Stopped)
    faults = Faults(Guard(on_fault="restart"))
    envs = make_vector(environment_spec("Stopped-v0"), 1, faults=faults)
    envs.reset(seed=0)
    with pytest.raises(KeyboardInterrupt):
        envs.step(np.array([0]))
    assert faults.restarts == 0


def test_a_timer_of_the_user_stays_theirs() -> None:
    before = signal.signal(signal.SIGALRM, lambda number, frame: None)
    try:
        mine = signal.getsignal(signal.SIGALRM)
        with Faults(Guard(seconds=0.1)).limiting():
            assert signal.getsignal(signal.SIGALRM) is mine
            assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    "settings", [{"seconds": 0}, {"most": -1}, {"on_fault": "ignore"}, {"outside": "ignore"}]
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"guard.{next(iter(settings))}"):
        Experiment.from_dict({"env": "CartPole-v1", "guard": settings})


def test_a_training_goes_on_and_counts_and_is_resumed(tmp_path: Path) -> None:
    what = Experiment.from_dict(
        {
            "env": HERE,
            "env_settings": {"chance": 0.3},
            "observe": None,
            "steps": 320,
            "num_envs": 2,
            "checkpoint": 48,
            "guard": {"on_fault": "restart"},
            "algorithm": {"name": "ppo", "network": [8], "settings": {"n_steps": 16}},
        }
    )
    straight = train(what, 3, out=tmp_path / "straight")
    counts = [row["guard/restarts"] for row in straight.metrics()]
    assert counts == sorted(counts)
    assert counts[-1] >= 5
    assert {row["truncated"] for row in straight.episodes()} == {True, False}
    with pytest.raises(KeyboardInterrupt):
        train(what, 3, out=tmp_path / "run", watchers=[StopAt(250)])
    assert_same(straight, train(resume=tmp_path / "run"))
