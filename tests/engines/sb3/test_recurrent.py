from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dragoman.agents.distill.distill import distill
from dragoman.agents.evaluate import evaluate
from dragoman.engines.check import check
from dragoman.engines.masks import MaskWarning
from dragoman.engines.rllib import RLlib
from dragoman.engines.rollouts import StepsWarning
from dragoman.engines.train import train
from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.run import Run
from dragoman.testing import ScriptedModel
from tests.number_reader import read_numbers

SMALL = {"lstm_hidden_size": 16}
SETTINGS = {"n_steps": 32, "batch_size": 128, "learning_rate": 0.01, "ent_coef": 0.01, "gamma": 0.9}


def recall(name: str, steps: int = 4096, env_settings: Any = None, **more: Any) -> Experiment:
    own = {"policy_kwargs": SMALL} if name == "recurrent-ppo" else {}
    return Experiment.from_dict(
        {
            "env": "tests.recall_task:Recall",
            "env_settings": env_settings or {},
            "steps": steps,
            "observe": None,
            "algorithm": {"name": name, "network": [16], "settings": {**SETTINGS, **own}},
            **more,
        }
    )


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(recall("recurrent-ppo"), out=tmp_path_factory.mktemp("recurrent") / "run")


def test_it_learns_what_nothing_without_a_memory_can(learnt: Run, tmp_path: Path) -> None:
    # All episodes at once, which also says that each has a memory of its own.
    assert evaluate(learnt, 40).mean == 1.0
    plain = train(recall("ppo"), out=tmp_path / "plain")
    assert 0.25 < evaluate(plain, 40).mean < 0.75


def test_it_learns_from_words_of_the_past_too(tmp_path: Path) -> None:
    wanted = recall("ppo", describe={"history": 2}, observe={"model": "words"})
    assert evaluate(train(wanted, out=tmp_path / "run"), 40).mean == 1.0


@pytest.mark.parametrize(("steps", "n_steps"), [(72, 32), (65, 32), (33, 33)])
def test_the_last_rollout_and_the_last_batch_may_be_short(
    steps: int, n_steps: int, tmp_path: Path
) -> None:
    # The last rollout has 8 steps, or 1; the last batch would have 1 step of 33.
    wanted = recall("recurrent-ppo", steps, num_envs=1)
    settings = {"n_steps": n_steps, "batch_size": 16, "policy_kwargs": SMALL}
    run = train(wanted.replaced({"algorithm.settings": settings}), out=tmp_path / "run")
    assert run.steps == steps
    assert all(np.isfinite(tensor).all() for tensor in run.weights().values())


def test_a_short_rollout_is_learnt_from_as_a_whole_one(tmp_path: Path) -> None:
    """The states of the LSTM stand where the steps stand."""
    whole = recall("recurrent-ppo", 16, num_envs=2).replaced(
        {"algorithm.settings": {"n_steps": 8, "batch_size": 16, "policy_kwargs": SMALL}}
    )
    longer = whole.replaced({"algorithm.settings.n_steps": 12})
    one = train(whole, out=tmp_path / "whole")
    with pytest.warns(StepsWarning, match="a rollout is 12 steps"):
        other = train(longer, out=tmp_path / "longer")
    for name, tensor in one.weights().items():
        np.testing.assert_array_equal(other.weights()[name], tensor)


@pytest.mark.parametrize(
    ("changes", "problem", "cure"),
    [
        ({"act": {"policy": "score"}}, "trains no policy over given actions", "use ppo or a2c"),
        ({"credit": "gigpo"}, "'recurrent-ppo' has no place for", "leave credit out"),
        ({"guide": {"use": "kl"}}, "'recurrent-ppo' has no place for", "ppo or a2c"),
        ({"algorithm.settings.lstm_hidden_size": 8}, "belongs into policy_kwargs", "RecurrentPPO"),
        ({"algorithm.settings.batch_size": 1}, "a single step cannot be", "normalize_advantage"),
        ({"algorithm.settings.policy_kwargs": {"squash_output": True}}, "squash", "clipped"),
        ({"algorithm.settings.policy_kwargs": {"lstm_kwargs": {"proj_size": 2}}},
         "holds 'proj_size'", "bias and dropout"),
        ({"algorithm.settings.policy_kwargs": {"shared_lstm": True}}, "shared", "RecurrentPPO"),
        ({"algorithm.settings.policy_kwargs": {"lstm_size": 8}}, "did you mean", "RecurrentPPO"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(changes: dict[str, Any], problem: str, cure: str) -> None:
    with pytest.raises(ConfigError, match=problem) as error:
        check(recall("recurrent-ppo").replaced(changes))
    assert cure in error.value.cure


@pytest.mark.parametrize(
    ("role", "column"),
    [
        ({"explore": "counts"}, "explore/bonus"),
        ({"reward": {"use": "goal-similarity", "goal": "the end"}}, "reward/goal-similarity"),
    ],
)
def test_it_learns_from_what_roles_add(role: Any, column: str, tmp_path: Path) -> None:
    wanted = recall("recurrent-ppo", 256, **role)
    run = train(wanted, out=tmp_path / "run", model=ScriptedModel(read_numbers))
    assert column in run.episodes()[-1]


def test_other_engines_and_students_have_no_memory(learnt: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the engine rllib has no recurrent-ppo"):
        check(recall("recurrent-ppo"), RLlib())
    with pytest.raises(ConfigError, match="sees the present observation alone"):
        distill(learnt, tmp_path / "student")


def test_it_warns_where_it_ignores_masks(tmp_path: Path) -> None:
    wanted = recall("recurrent-ppo", 256, env="tests.masked_task:Tolerant")
    with pytest.warns(MaskWarning, match="recurrent-ppo cannot keep to it"):
        run = train(wanted, out=tmp_path / "run")
    assert run.environment["masks"] == "ignored"


def test_without_the_extra_training_says_so_and_playing_needs_none(learnt: Run) -> None:
    code = (
        "import sys, dragoman\n"
        "from dragoman.agents.record import record\n"
        "sys.modules['sb3_contrib'] = None\n"
        f"run = dragoman.Run({str(learnt.path)!r})\n"
        "assert dragoman.evaluate(run, 4).mean == 1.0\n"
        "record(run, 1)\n"
        "assert 'stable_baselines3' not in sys.modules\n"
        "dragoman.train(run.experiment)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "the package 'sb3-contrib' is not installed" in result.stderr
    assert "pip install 'dragoman[recurrent]'" in result.stderr
