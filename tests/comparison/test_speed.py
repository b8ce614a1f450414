from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from dragoman.comparison.folder import ComparisonFolder, keep
from dragoman.comparison.results import results_of
from dragoman.comparison.speed import WINDOW, reached_at
from dragoman.run import Run, RunWriter
from tests.comparison.small_comparisons import make_comparison

LENGTH = 10  # steps of an episode
ARMS = "threshold: 0.5\ncontrols: [random-weights]\n"


def write_run(folder: ComparisonFolder, arm: str, seed: int, returns: Sequence[float]) -> Run:
    """Write a finished run of episodes with these returns."""
    path = folder.run_folder(arm, seed)
    with RunWriter(path, folder.comparison.experiment(arm), seed, {}) as writer:
        for number, earned in enumerate(returns, start=1):
            writer.episode({"step": number * LENGTH, "return": earned})
        writer.save_weights({"w": np.zeros(1)}, steps=len(returns) * LENGTH)
    evaluation = {"returns": [1.0], "sampled_returns": [1.0]}
    (path / "evaluation.json").write_text(json.dumps(evaluation))
    return Run(path)


def solved_after(failures: int, episodes: int = 100) -> list[float]:
    return [0.0] * failures + [1.0] * (episodes - failures)


@pytest.fixture
def folder(tmp_path: Path) -> ComparisonFolder:
    return keep(tmp_path / "out", make_comparison(tmp_path, more=ARMS, seeds=3))


def test_a_run_is_there_when_its_last_fifty_episodes_are(folder: ComparisonFolder) -> None:
    # Half of the last fifty are won with the 25th win.
    run = write_run(folder, "model", 0, solved_after(40))
    assert reached_at(run, 0.5) == (40 + 25) * LENGTH
    assert reached_at(run, 1.0) == (40 + WINDOW) * LENGTH
    assert reached_at(run, 1.1) is None


def test_fewer_than_fifty_episodes_never_count(folder: ComparisonFolder) -> None:
    assert reached_at(write_run(folder, "model", 0, [1.0] * 49), 0.5) is None
    assert reached_at(write_run(folder, "model", 1, [1.0] * 50), 0.5) == 50 * LENGTH


def test_what_is_saved_is_paired_by_seed_and_counts_the_censored(folder: ComparisonFolder) -> None:
    for seed, failures in enumerate((30, 40, 50)):
        write_run(folder, "model", seed, solved_after(failures))
        write_run(folder, "no-model", seed, solved_after(failures + 10))
        write_run(folder, "random-weights", seed, [0.0] * 100)
    arms = results_of(folder)["arms"]
    speed = arms["model"]["speed"]
    assert speed["steps"] == {"0": 550.0, "1": 650.0, "2": 750.0}
    assert (speed["reached"], speed["median"], speed["restricted_mean"]) == (3, 650.0, 650.0)
    baseline, control = speed["saved"]
    assert (baseline["against"], control["against"]) == ("no-model", "random-weights")
    # Ten episodes sooner with every seed; against runs that never are, all that was seen.
    assert baseline["difference"]["estimate"] == 100.0
    assert control["difference"]["estimate"] == 1000.0 - 650.0
    assert baseline["p_value"] == 1 / 8
    never = arms["random-weights"]["speed"]
    assert (never["reached"], never["median"]) == (0, None)
    assert never["saved"] == []


def test_runs_of_unequal_budgets_are_compared_as_far_as_all_went(folder: ComparisonFolder) -> None:
    write_run(folder, "model", 0, solved_after(40))
    write_run(folder, "no-model", 0, solved_after(70, episodes=80))
    write_run(folder, "random-weights", 0, [0.0] * 60)
    speed = results_of(folder)["arms"]["model"]["speed"]
    assert speed["steps"] == {"0": 650.0}
    # Nothing is known of random weights beyond step 600, where neither of the others was there.
    assert [item["difference"]["estimate"] for item in speed["saved"]] == [0.0, 0.0]


def test_without_a_threshold_there_is_no_speed(tmp_path: Path) -> None:
    folder = keep(tmp_path / "out", make_comparison(tmp_path, seeds=1))
    write_run(folder, "model", 0, [1.0] * 100)
    assert results_of(folder)["arms"]["model"]["speed"] is None


def test_an_arm_without_its_baseline_is_told_alone(folder: ComparisonFolder) -> None:
    write_run(folder, "model", 0, solved_after(30))
    speed = results_of(folder)["arms"]["model"]["speed"]
    assert (speed["reached"], speed["saved"]) == (1, [])
