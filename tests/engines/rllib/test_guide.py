"""A prior over actions guides learners of RLlib, as it does those of Stable-Baselines3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dragoman.engines.rllib import RLlib
from dragoman.engines.train import train
from dragoman.errors import ConfigError
from tests.roles.explore.test_guide import PRIOR, Bandit, bandit, bandit_model, probabilities

pytestmark = pytest.mark.usefixtures("cluster_of_three")

SETTINGS = {"n_steps": 8, "batch_size": 128, "n_epochs": 4, "learning_rate": 0.01}
PPO = {"name": "ppo", "settings": SETTINGS}
RAW = {"name": "ppo", "settings": {**SETTINGS, "normalize_advantage": False}}
APPO = {"name": "appo", "settings": {"n_steps": 8, "learning_rate": 0.01}}


def trained(guide: Any, algorithm: Any, steps: int, out: Path, **engine: Any) -> Any:
    made = bandit(guide, algorithm, steps)
    return train(made, out=out, model=bandit_model(), engine=RLlib(**engine))


def test_a_prior_takes_part_in_play_and_its_weights_reach_the_learner(tmp_path: Path) -> None:
    guide = {"use": "mixture", "weight": {"start": 0.9, "end": 0.9, "steps": 1}}
    run = trained(guide, PPO, 4096, tmp_path / "run")
    late = [row["return"] for row in run.episodes()]
    chances = probabilities(run)
    assert chances.argmax() == 2
    share = np.mean(np.isclose(late[-2000:], Bandit.pays[2]))
    assert share == pytest.approx(0.9 * PRIOR[2] + 0.1 * chances[2], abs=0.06)
    last = run.last_metrics()
    assert 1 < last["guide/importance_max"] <= 10 + 1e-4
    assert last["guide/importance_mean"] == pytest.approx(1, abs=0.5)
    assert last["guide/weight"] == 0.9
    assert last["guide/kl"] > 0


def test_what_appo_would_learn_wrongly_is_refused() -> None:
    made = bandit({"use": "mixture"}, APPO, 256)
    with pytest.raises(ConfigError, match="appo cuts the weights of steps off") as error:
        train(made, out=Path("never"), model=bandit_model(), engine=RLlib())
    assert "ppo" in str(error.value.cure)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("algorithm", "steps", "runners"), [(RAW, 24_000, 0), (RAW, 24_000, 2), (APPO, 60_000, 1)]
)
def test_a_training_ends_at_the_optimum_of_the_kl_prior(
    algorithm: Any, steps: int, runners: int, tmp_path: Path
) -> None:
    beta = 0.5
    guide = {"use": "kl", "weight": beta}
    run = trained(guide, algorithm, steps, tmp_path / "run", env_runners=runners)
    expected = np.array(PRIOR) * np.exp(np.array(Bandit.pays) / beta)
    np.testing.assert_allclose(probabilities(run), expected / expected.sum(), atol=0.1)
    assert run.last_metrics()["guide/weight"] == beta
    assert run.last_metrics()["guide/kl"] > 0.05
    assert {row["return"] for row in run.episodes()} <= set(Bandit.pays)


@pytest.mark.slow
@pytest.mark.parametrize("runners", [0, 1])
def test_dqn_begins_with_the_values_of_the_prior(runners: int, tmp_path: Path) -> None:
    dqn = {"name": "dqn", "settings": {"learning_starts": 10_000}}
    guide = {"use": "values", "weight": 2.0}
    with pytest.warns(UserWarning, match="learns nothing"):
        run = trained(guide, dqn, 416, tmp_path / "run", env_runners=runners)
    logs = np.log(PRIOR)
    np.testing.assert_allclose(probabilities(run), 2 * (logs - logs.mean()), atol=0.05)
