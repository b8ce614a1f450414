"""Texts of actions as no one would choose them: equal, empty, thousands, ever other ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from dragoman.agents.evaluate import evaluate
from dragoman.agents.record import record
from dragoman.engines.train import train
from dragoman.errors import ConfigError, SpaceError
from dragoman.experiment import Algorithm, Experiment
from dragoman.roles.act.settings import Act
from dragoman.testing import ScriptedModel

PPO = Algorithm("ppo", {"n_steps": 4, "batch_size": 8, "n_epochs": 1}, (8,))
READING = {
    "match": Act("match"),
    "match by product": Act("match", interaction="dot"),
    "score": Act("score"),
    "hybrid": Act("hybrid"),
    "hybrid of match": Act("hybrid", base="match"),
}
MANY = 5000


class Spoken(gym.Env[np.ndarray, int]):
    """Takes any action, and calls them what it is told to; an episode has three steps."""

    observation_space = gym.spaces.Box(0, 1, (2,), np.float32)

    def __init__(self, texts: list[str] | None = None, count: int = 3, changes: int = 0) -> None:
        self.texts, self.changes = texts, changes
        self.action_space = gym.spaces.Discrete(count, start=1)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.taken = 0
        return np.zeros(2, np.float32), self._info()

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action)
        if self.texts or self.changes:
            assert self.offered[int(action) - 1], "an invalid action was taken"
        self.taken += 1
        return np.zeros(2, np.float32), 0.0, self.taken == 3, False, self._info()

    def _info(self) -> dict[str, Any]:
        if self.changes:
            # From one action to all, and never the same.
            count = 1 + (self.changes * self.taken) % int(self.action_space.n)
            self.offered = [f"say {self.taken} {i}" for i in range(count)]
            self.offered += [""] * (int(self.action_space.n) - count)
        elif self.texts:
            self.offered = self.texts
        else:
            return {}
        return {"action_texts": self.offered}


def spoken(act: Act, **settings: Any) -> Experiment:
    given: dict[str, Any] = {"steps": 16, "num_envs": 2, "observe": None, "algorithm": PPO}
    return Experiment(
        env="tests.engines.test_odd_texts:Spoken",
        act=act,
        env_settings=settings,
        **given,
    )


def model() -> ScriptedModel:
    return ScriptedModel(
        lambda text: [len(text), text.count("a")],
        log_probs=lambda prompt, candidate: [-0.1 * len(candidate)],
    )


@pytest.mark.parametrize("name", READING)
def test_two_actions_of_one_text_are_as_likely(name: str, tmp_path: Path) -> None:
    experiment = spoken(READING[name], texts=["go on", "wait a while", "go on"])
    run = train(experiment, out=tmp_path / "run", model=model())
    evaluate(run, 3, sampled=True, model=model())
    first, other, second = record(run, model=model()).episodes[0].steps[0].weighed[0].weights
    if name != "hybrid":
        # What they are called is all that these policies know of them.
        assert first == pytest.approx(second, rel=1e-5)
    assert first + other + second == pytest.approx(1)


@pytest.mark.parametrize("text", ["", "  "])
@pytest.mark.parametrize("name", READING)
def test_an_admissible_action_without_a_text_is_refused(
    name: str, text: str, tmp_path: Path
) -> None:
    experiment = spoken(READING[name]).replaced({"describe.actions": ["go", text, "wait"]})
    with pytest.raises(SpaceError, match="action 1 is valid, but its text is empty") as error:
        train(experiment, out=tmp_path / "run", model=model())
    assert "describe.actions" in error.value.cure


@pytest.mark.parametrize("act", [*READING.values(), Act(), None])
def test_another_number_of_actions_in_each_step(act: Act | None, tmp_path: Path) -> None:
    experiment = spoken(act, count=7, changes=4)
    run = train(experiment, out=tmp_path / "run", model=model())
    evaluate(run, 3, model=model())
    evaluate(run, 3, sampled=True, model=model())
    steps = record(run, model=model()).episodes[0].steps[:-1]
    if act is not None:
        assert [np.count_nonzero(step.weighed[0].weights) for step in steps] == [1, 5, 2]


@pytest.mark.parametrize("name", READING)
def test_thousands_of_actions(name: str, tmp_path: Path) -> None:
    asked = model()
    run = train(spoken(READING[name], count=MANY), out=tmp_path / "run", model=asked)
    assert run.steps == 16
    step = record(run, model=asked).episodes[0].steps[0]
    assert len(step.weighed[0].weights) == MANY
    assert sum(step.weighed[0].weights) == pytest.approx(1, abs=1e-3)
    assert step.action == f"action {int(step.weighed[0].chosen) + 1}"


def test_a_rollout_that_cannot_fit_is_refused_before_it_begins(tmp_path: Path) -> None:
    huge = spoken(Act("match"), count=MANY).replaced(
        {"algorithm.settings": {"n_steps": 2_000_000, "batch_size": 100}}
    )
    with pytest.raises(ConfigError, match=r"most of it 'actions' of shape \(5000, 2\)") as error:
        train(huge, out=tmp_path / "run", model=model())
    assert "n_steps" in error.value.cure
    assert not (tmp_path / "run").exists()
