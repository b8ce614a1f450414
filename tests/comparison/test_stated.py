from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dragoman.comparison.folder import ComparisonFolder
from dragoman.comparison.results import read_results
from dragoman.comparison.stated import (
    agreements,
    repeated_mean,
    stated_results,
    statement,
)
from dragoman.errors import ConfigError, RunError
from dragoman.experiment.source import recipe_files, recipes_folder
from tests.comparison.small_comparisons import make_comparison, write_comparison, write_run

SCORES = {"model": [0.5, 0.75], "no-model": [0.25, 0.5]}


@pytest.fixture
def folder(tmp_path: Path) -> ComparisonFolder:
    comparison = make_comparison(tmp_path, more="controls: false\n")
    return write_comparison(tmp_path / "out", comparison, SCORES)


def test_the_mean_of_new_scores_lies_where_it_should_in_95_of_100_cases() -> None:
    generator = np.random.default_rng(0)
    samples = generator.normal(size=(2000, 2, 6))
    inside = []
    for before, after in samples:
        interval = repeated_mean(before.tolist(), after.tolist())
        inside.append(interval.low <= after.mean() <= interval.high)
    # Four standard errors of a share of 2,000.
    assert np.mean(inside) == pytest.approx(0.95, abs=0.02)


def test_a_golden_interval_and_its_edges() -> None:
    # t of 2 degrees of freedom is 4.3027; both deviations are 0.17678, and so is s sqrt(2 / 2).
    interval = repeated_mean([0.5, 0.75], [0.25, 0.5])
    assert interval.estimate == 0.625
    assert interval.high - interval.estimate == pytest.approx(4.30265 * 0.176777, rel=1e-4)
    # t of 3 is 3.1824; s is sqrt(0.5 / 3), of two scores against three sqrt(5 / 6) of it is taken.
    uneven = repeated_mean([0.0, 1.0], [0.5, 0.5, 0.5])
    assert uneven.high - 0.5 == pytest.approx(3.18245 * (0.5 / 3 * 5 / 6) ** 0.5, rel=1e-4)
    assert repeated_mean([0.5], [0.5]).low == -np.inf
    assert repeated_mean([1.0, 1.0], [1.0, 1.0]).low == 1.0
    # Five failures of five do not promise five more.
    assert repeated_mean([0.0] * 5, [0.0] * 4 + [1.0]).high > 0.2
    # t of 2 degrees of freedom at 97.5 % is 6.2053: each of two arms is held to that.
    wider = repeated_mean([0.5, 0.75], [0.25, 0.5], 0.975)
    assert wider.high - wider.estimate == pytest.approx(6.20535 * 0.176777, rel=1e-4)


def test_a_rerun_is_held_against_what_was_stated(folder: ComparisonFolder) -> None:
    said = statement(folder, "mine")
    assert said["seeds"] == [0, 1]
    assert said["model"] == "any"
    assert said["arms"]["model"]["scores"] == {"0": 0.5, "1": 0.75}
    assert {"recipe", "command", "dates", "versions", "training_minutes"} <= set(said)
    same = list(agreements(said, read_results(folder)))
    assert {row.stated.level for row in same} == {0.975}
    assert [(row.arm, row.is_inside, row.agrees) for row in same] == [
        ("model", True, True),
        ("no-model", True, True),
    ]
    said["arms"]["model"]["scores"] = {"0": 1.9, "1": 1.9}
    said["arms"]["no-model"]["scores"] = {"0": 0.2, "1": 0.6}
    other = {row.arm: row for row in agreements(said, read_results(folder))}
    assert not other["model"].is_inside
    assert other["no-model"].is_inside
    said["arms"]["model"] = {"scores": {"0": 0.5, "1": 0.75}, "outcome": "helped"}
    model = next(agreements(said, read_results(folder)))
    assert model.is_inside
    assert model.outcomes == ("helped", "no evidence")
    assert not model.agrees


def test_an_unfinished_comparison_states_nothing(tmp_path: Path) -> None:
    comparison = make_comparison(tmp_path, more="controls: false\n")
    folder = write_comparison(tmp_path / "out", comparison, {"model": [0.5, 0.75]})
    write_run(folder, "no-model", 0, 0.5)
    with pytest.raises(RunError, match="has unfinished runs of no-model") as error:
        statement(folder, "mine")
    assert "dragoman compare recipe:mine" in error.value.cure


def test_every_stated_result_belongs_to_a_recipe_and_names_what_it_came_from() -> None:
    files = sorted((recipes_folder() / "stated").rglob("*.json"))
    assert len(files) >= 3
    for file in files:
        name = file.relative_to(recipes_folder() / "stated").with_suffix("").as_posix()
        assert name in recipe_files()
        said = stated_results(f"recipe:{name}")
        assert said["recipe"] == name
        is_first = said["seeds"] == [*range(len(said["seeds"]))]
        counted = f" --seeds {len(said['seeds'])}" if is_first else ""
        assert said["command"] == f"dragoman compare recipe:{name}{counted}"
        assert said["model"]
        assert said["versions"]["processor"]
        assert said["training_minutes"] > 0
        for arm in said["arms"].values():
            assert len(arm["scores"]) == len(said["seeds"])


def test_a_recipe_without_stated_results_is_refused() -> None:
    with pytest.raises(ConfigError, match="no results are stated for the recipe 'tidyhose'") as e:
        stated_results("tidyhose")
    assert "those that can be reproduced are:" in e.value.cure
