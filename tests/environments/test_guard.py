from __future__ import annotations

import signal
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
from tests.faults import ENVIRONMENT, IN_RESET, OUTSIDE, Unsound

HERE = "tests.faults:Unsound"
SAID = {
    "step raises": "raised ZeroDivisionError: division by zero",
    "reset raises": "reset() raised OSError: the simulator is gone",
    "step calls sys.exit": "raised SystemExit: 3",
    "step waits for ever": "has not returned for 0.3 seconds",
    "step loops for ever": "has not returned for 0.3 seconds",
    "observation is NaN": "the observation[0] is nan",
    "observation has another shape": "the observation has shape (3,), but its space says (2,)",
    "observation is a text": "the observation is 'left' of type <U4, which is no float32",
    OUTSIDE: "the observation[1] is 1.5, outside its bounds -1 to 1",
    "reward is NaN": "the reward is nan",
    "reward is a text": "the reward is '1.0', which is no number",
    "terminated is a text": "terminated is 'no', which is neither true nor false",
    "info is no mapping": "info is None, which is no mapping",
    "step returns four values": "step() returns 4 values instead of",
    "its space is another one now": "its observation_space has become Box",
}


def vector(what: str, **settings: Any) -> tuple[Any, Faults]:
    settings = {"outside": "fault", **settings}
    faults = Faults(Guard(seconds=0.3, **settings), lambda i, n: 100 * n + i)
    made = make_vector(environment_spec(HERE), 2, {"what": what}, faults=faults)
    return made, faults


def play(envs: Any, faults: Faults, steps: int) -> list[Any]:
    with faults.limiting():
        envs.reset(seed=[5, 6])
        return [envs.step(np.array([1, 0])) for _ in range(steps)]


@pytest.mark.parametrize("fault", ENVIRONMENT)
def test_a_fault_ends_it_and_its_place_is_named(fault: str) -> None:
    envs, faults = vector(fault)
    with pytest.raises(SpaceError) as caught:
        play(envs, faults, 60)
    step = 0 if fault in IN_RESET else 3
    assert SAID[fault] in caught.value.problem
    assert f"sub-environment 0, episode 3, step {step}" in caught.value.problem
    assert ("step(np.int64(1))" in caught.value.problem) == (step > 0)
    assert caught.value.cure
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


@pytest.mark.parametrize("fault", ENVIRONMENT)
def test_a_copy_is_made_anew_and_counted(fault: str) -> None:
    envs, faults = vector(fault, on_fault="restart")
    steps = play(envs, faults, 30)
    # Each copy fails in its third episode, and the new one in the third of its own.
    assert faults.restarts == 4
    cut = [step for step in steps if RESTARTED in step[4].get("final_info", {})]
    if fault in IN_RESET:
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
    envs, faults = vector(OUTSIDE, outside="warn")
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
