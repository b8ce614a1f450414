from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dragoman.engines.train import train
from dragoman.errors import ConfigError
from dragoman.experiment import Algorithm, Experiment
from dragoman.experiment.budget import MOST_TIMES, Budget
from dragoman.testing import ScriptedModel
from tests.number_reader import read_numbers

RATE = {"start": 0.01, "end": 0.0}
EXPERIMENT = Experiment(
    env="CartPole-v1",
    steps=64,
    num_envs=2,
    algorithm=Algorithm("ppo", {"n_steps": 8, "batch_size": 16, "learning_rate": RATE}, (8,)),
)


def test_tokens_end_a_training_and_its_schedule(tmp_path: Path) -> None:
    model = ScriptedModel(read_numbers)
    before = train(EXPERIMENT, out=tmp_path / "steps", model=model).last_metrics()["model/tokens"]
    used = model.cost.tokens
    run = train(EXPERIMENT, out=tmp_path / "run", model=model, budget=Budget("tokens", 3 * used))
    spent = model.cost.tokens - used
    # It ends with the step that uses the budget up; a step reads two texts or a few more.
    assert 3 * used <= spent < 3.2 * used
    assert before <= used
    # What was read before the first step is one share of both.
    assert 2 * 64 < run.steps < 6 * 64
    assert run.status == "finished"
    rates = [row["train/learning_rate"] for row in run.metrics() if "train/learning_rate" in row]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.25 * 0.01


def test_seconds_end_a_training(tmp_path: Path) -> None:
    long = replace(EXPERIMENT, steps=1_000_000)
    run = train(
        long, out=tmp_path / "run", model=ScriptedModel(read_numbers), budget=Budget("seconds", 0.5)
    )
    assert run.status == "finished"
    assert 0.4 < run.last_metrics()["time/seconds"] < 10
    assert run.steps < 1_000_000


def test_what_is_never_used_up_ends_nevertheless(tmp_path: Path) -> None:
    run = train(
        EXPERIMENT,
        out=tmp_path / "run",
        model=ScriptedModel(read_numbers),
        budget=Budget("tokens", 1e9),
    )
    assert run.steps == MOST_TIMES * 64


def test_an_empty_budget_is_refused() -> None:
    with pytest.raises(ConfigError, match="budget of tokens is 0"):
        Budget("tokens", 0)
