from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dragoman.agents.record import record
from dragoman.agents.terms import BONUS
from dragoman.engines.train import train
from dragoman.errors import ModelError
from dragoman.experiment import Experiment
from dragoman.report.replay import replay_page
from dragoman.run import Run
from dragoman.testing import ScriptedModel


def reading() -> ScriptedModel:
    return ScriptedModel(lambda text: [len(text), text.count("1"), text.count("2")])


def trained(folder: Path, explore: Any, **more: Any) -> Run:
    experiment = {
        "env": "FrozenLake-v1",
        "observe": None,
        "steps": 256,
        "num_envs": 2,
        "algorithm": {"name": "ppo", "settings": {"n_steps": 32, "batch_size": 32, "n_epochs": 1}},
        "explore": explore,
        **more,
    }
    return train(Experiment.from_dict(experiment), out=folder, model=reading())


def test_a_replay_shows_the_bonus_of_each_step_though_its_weight_has_gone(tmp_path: Path) -> None:
    run = trained(
        tmp_path / "run",
        {"method": "counts", "normalise": False, "weight": {"start": 1, "end": 0, "steps": 200}},
    )
    saved = run.weights()
    assert run.last_metrics()["explore/weight"] == 0
    visits = dict(zip(saved["explore.method.names"], saved["explore.method.visits"], strict=True))
    recorded = record(run)
    (episode,) = recorded.episodes
    for step in episode.steps[:-1]:
        assert step.terms["environment"] == step.reward
        # Visits of the training, and one more; those of this episode are not counted.
        assert step.terms[BONUS] in [pytest.approx((n + 1) ** -0.5) for n in (0, *visits.values())]
    assert BONUS in replay_page([recorded])
    np.testing.assert_array_equal(run.weights()["explore.method.visits"], [*visits.values()])


def test_reward_and_bonus_stand_side_by_side(tmp_path: Path) -> None:
    reward = {"use": "goal-similarity", "goal": "row 3, column 3"}
    run = trained(tmp_path / "run", "e3b", reward=reward)
    (episode,) = record(run, model=reading()).episodes
    terms = [step.terms for step in episode.steps[:-1]]
    assert all(set(own) == {"environment", "goal-similarity", BONUS} for own in terms)
    assert max(own[BONUS] for own in terms) > 0


def test_a_model_that_fails_leaves_a_note(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", "e3b")

    def fails(text: str) -> Any:
        raise ModelError("the server is off", cure="start it")

    recorded = record(run, model=ScriptedModel(fails, hidden_size=3))
    assert recorded.note.endswith("No bonus from here on: the server is off")
    assert all(BONUS not in step.terms for step in recorded.episodes[0].steps)
