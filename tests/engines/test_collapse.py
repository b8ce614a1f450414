from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

from dragoman.engines import collapse
from dragoman.engines.collapse import CURES, CollapseWatch, GradientLengths
from dragoman.engines.train import train
from dragoman.engines.watcher import Rollout
from dragoman.errors import ConfigError
from dragoman.experiment import Algorithm, Experiment
from dragoman.experiment.collapse import Collapse
from dragoman.roles.act.settings import Act
from dragoman.testing import ScriptedModel
from tests.text_tasks import bag_of_words, says_the_colour

EXPERIMENT = Experiment(
    env="tests.text_tasks:Lamps",
    steps=1024,
    num_envs=4,
    act=Act("score"),
    algorithm=Algorithm("ppo", {"n_steps": 16, "batch_size": 64, "learning_rate": 0.01}, (8,)),
)
NEVER = dict.fromkeys(CURES)


class Scripted:
    """A training of one weight that shows watchers these rows, one an update."""

    def __init__(self) -> None:
        self.policy = torch.nn.Linear(1, 1, bias=False)
        self.actions = gym.spaces.Discrete(2)
        self.steps = 0
        self.row: dict = {}
        self.recorded: dict = {}
        self.record = self.recorded.__setitem__


def watch(limits: Collapse, rows: list[dict]) -> tuple[CollapseWatch, list[str], dict]:
    """Return a watch that has seen these rows, what it said, and what it recorded."""
    said: list[str] = []
    watching, training = CollapseWatch(limits, said.append), Scripted()
    watching.begin(training)
    for row in rows:
        row = dict(row)
        rare = row.pop("rare", 50)  # of a hundred actions
        for length in row.pop("gradients", []):
            training.policy.weight.grad = None
            (length * training.policy.weight.sum()).backward()
        watching.step(training, [{"invalid_text": bad} for bad in row.pop("invalid", [])])
        actions = np.arange(100).reshape(50, 2) < rare
        watching.rollout(training, Rollout(actions, np.zeros((50, 2, 1))))
        training.row = {"train/entropy_loss": -0.5, "train/explained_variance": 0.5, **row}
        stop = watching.update(training)
        assert stop == (limits.stop and bool(watching.tripped))
    return watching, said, training.recorded


@pytest.mark.parametrize(
    ("name", "fine", "bad"),
    [
        ("entropy", {"train/entropy_loss": -0.02}, {"train/entropy_loss": -0.005}),
        ("top_action", {"rare": 2}, {"rare": 0}),
        ("value", {"train/explained_variance": 0.1}, {"train/explained_variance": -0.6}),
        ("drift", {"train/approx_kl": 0.19}, {"train/approx_kl": 0.21}),
        ("gradient", {"gradients": [1.0, 3.0]}, {"gradients": [2.0, 99.0]}),
        ("invalid", {"invalid": [True, False]}, {"invalid": [True, True, False]}),
    ],
)
def test_each_sign_trips_after_its_patience_and_once(name: str, fine: dict, bad: dict) -> None:
    limits = Collapse(patience=2)
    assert watch(limits, [fine] * 9)[0].tripped == []
    # Once is no sign, nor are two with a good one between.
    assert watch(limits, [*[fine] * 6, bad, fine, bad])[0].tripped == []
    watching, said, recorded = watch(replace(limits, stop=True), [*[fine] * 6, bad, bad, bad])
    assert watching.tripped == [name]
    assert len(said) == 1
    assert name in said[0]
    assert CURES[name] in said[0]
    assert f"collapse/{name}" in recorded
    assert watch(Collapse(**NEVER, patience=1), [*[fine] * 6, bad])[0].tripped == []


def test_a_critic_that_has_not_explained_anything_yet_has_not_collapsed() -> None:
    limits = Collapse(patience=2)
    assert watch(limits, [{"train/explained_variance": -3.0}] * 9)[0].tripped == []
    barely = [{"train/explained_variance": 0.1}, *[{"train/explained_variance": -0.4}] * 5]
    assert watch(limits, barely)[0].tripped == []


def test_the_length_of_a_gradient_before_it_is_clipped() -> None:
    weights = [torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(1))]
    lengths = GradientLengths(weights)
    for factor in (1.0, 2.0):
        for weight in weights:
            weight.grad = None
        (factor * (3 * weights[0][0] + 4 * weights[1].sum())).backward()
        torch.nn.utils.clip_grad_norm_(weights, 0.1)
    assert lengths.drain() == pytest.approx([5.0, 10.0])
    assert lengths.drain() == []


def test_signs_stand_in_the_metrics_of_a_real_training(tmp_path: Path) -> None:
    model = ScriptedModel(bag_of_words, log_probs=says_the_colour)
    run = train(EXPERIMENT, out=tmp_path / "run", model=model)
    rows = [row for row in run.metrics() if "collapse/entropy" in row]
    assert len(rows) >= 10
    # Three buttons of four are valid: a uniform policy has the entropy of three.
    first = rows[0]
    by_hand = -first["train/entropy_loss"] / math.log(3)
    assert first["collapse/entropy"] == pytest.approx(by_hand)
    assert 0.25 <= first["collapse/top_action"] < 0.8
    assert first["collapse/drift"] == first["train/approx_kl"]
    assert all(row["collapse/gradient"] > 0 for row in rows)


class Stubborn(gym.Env[np.ndarray, int]):
    """Pays for one action only, and says that some texts were none."""

    def __init__(self) -> None:
        self.observation_space = gym.spaces.Box(0, 1, (1,), np.float32)
        self.action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), float(action), True, False, {"invalid_text": action == 0}


def test_a_training_can_be_stopped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    limits = Collapse(**{**NEVER, "top_action": 0.9}, patience=2, stop=True)
    stubborn = Experiment(
        env="tests.engines.test_collapse:Stubborn",
        steps=20_000,
        num_envs=4,
        observe=None,
        collapse=limits,
        algorithm=EXPERIMENT.algorithm,
    )
    run = train(stubborn, out=tmp_path / "stopped")
    assert run.steps < 10_000
    assert run.status == "finished"
    assert "top_action has been" in caplog.text
    assert any("collapse/invalid" in row for row in run.metrics())
    caplog.clear()
    on = replace(stubborn, steps=run.steps + 512, collapse=replace(limits, stop=False))
    assert train(on, out=tmp_path / "on").steps >= on.steps
    assert caplog.text.count("top_action has been") == 1


def test_no_patience_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"collapse.patience is 0"):
        Collapse(patience=0)


@pytest.mark.parametrize(
    ("name", "texts", "trips"),
    [
        ("information", [1.0, 0.01, 0.01], True),
        ("information", [0.01, 0.01, 0.01], False),  # it never said more
        ("length", [10.0, 10.0, 10.0, 10.0, 10.0, 31.0, 31.0], True),
        ("length", [10.0, 10.0, 10.0, 10.0, 10.0, 3.0, 3.0], True),
        ("length", [10.0, 10.0, 10.0, 10.0, 10.0, 29.0, 29.0], False),
    ],
)
def test_texts_that_say_nothing_or_change_in_length_are_signs(
    name: str, texts: list[float], trips: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = {"information": "information", "length": "tokens"}[name]
    told = iter(texts)
    monkeypatch.setattr(collapse, "signs_of", lambda *given: {key: next(told)})
    watching, said, recorded = watch(Collapse(patience=2), [{}] * len(texts))
    assert watching.tripped == ([name] if trips else [])
    assert not trips or CURES[name] in said[0]
    assert f"collapse/{name}" in recorded
    assert ("written/tokens" in recorded) == (name == "length")
