"""A prior that knows the way gets a learner there that is paid nothing; one of noise does not."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from dragoman.engines.train import train
from dragoman.experiment import Experiment
from dragoman.roles.explore import action_prior
from tests.exploring import COPIES, Chain, KeyDoor, noisy_prior_model, prior_model, visits

TASKS = {"UnpaidChain": Chain, "UnpaidKeyDoor": KeyDoor}
PPO = {
    "name": "ppo",
    "settings": {
        "n_steps": 16,
        "n_epochs": 4,
        "learning_rate": 3e-3,
        # What the first values are wrong by teaches nothing then: the prior alone leads.
        "gamma": 0.0,
        "normalize_advantage": False,
    },
}
GUIDES: dict[str, tuple[Any, Any]] = {
    "kl": ({"use": "kl", "weight": 1.0}, PPO),
    "mixture": ({"use": "mixture", "weight": 0.6}, PPO),
    "values": (
        {"use": "values", "weight": 1.0},
        {"name": "dqn", "settings": {"exploration_fraction": 0.1, "train_freq": 16}},
    ),
}


@functools.cache
def uniform(task: str) -> int:
    result = visits(TASKS[task], None)
    assert result > 0
    return result


def goals(use: str, task: str, folder: Path, model: Any, **more: Any) -> int:
    guide, algorithm = GUIDES[use]
    experiment = Experiment.from_dict(
        {
            "env": f"tests.exploring:{task}",
            "describe": {"use": f"tests.exploring:{task.removeprefix('Unpaid')}Told"},
            "observe": None,
            "num_envs": 16,
            "steps": COPIES * TASKS[task].plays,
            "algorithm": algorithm,
            "guide": {**guide, **more},
        }
    )
    run = train(experiment, out=folder, model=model)
    return sum(row["return"] > 0 for row in run.episodes())


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("use", GUIDES)
def test_it_goes_where_uniform_play_hardly_comes(use: str, task: str, tmp_path: Path) -> None:
    assert goals(use, task, tmp_path / "run", prior_model()) >= 3 * uniform(task)


@pytest.mark.parametrize("use", GUIDES)
def test_a_prior_of_noise_leads_nowhere(
    use: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(action_prior, "REMEMBERED", 0)
    # The domain's scores are the same in all states: noise there would tilt them all one way.
    found = goals(use, "UnpaidChain", tmp_path / "run", noisy_prior_model(), domain=None)
    assert found < 3 * uniform("UnpaidChain")


def test_a_uniform_prior_leads_nowhere(tmp_path: Path) -> None:
    found = goals("mixture", "UnpaidChain", tmp_path / "run", prior_model(), scores="uniform")
    assert found < 3 * uniform("UnpaidChain")
