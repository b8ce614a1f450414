from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dragoman.cli import app
from dragoman.comparison import runner as comparing
from dragoman.comparison.comparison import Comparison
from dragoman.comparison.stated import statement
from tests.comparison.small_comparisons import (
    InProcess,
    make_comparison,
    write_comparison,
    write_file,
)

runner = CliRunner()


@pytest.fixture
def stated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a recipe with stated results and a finished rerun; return the stated file."""
    monkeypatch.setattr(comparing, "Workers", InProcess)
    recipes = tmp_path / "recipes"
    (recipes / "stated").mkdir(parents=True)
    more = "name: small\ncontrols: false\n"
    write_file(recipes, more=more)
    for place in ("experiment.source", "comparison.stated"):
        monkeypatch.setattr(f"dragoman.{place}.recipes_folder", lambda: recipes)
    scores = {"model": [0.5, 0.75, 0.5], "no-model": [0.25, 0.5, 0.25]}
    comparison = make_comparison(tmp_path, more=more, seeds=3)
    folder = write_comparison(tmp_path / "out", comparison, scores)
    file = recipes / "stated" / "small.json"
    file.write_text(json.dumps(statement(folder, "small")))
    return file


def test_what_comes_out_as_stated_is_inside(stated: Path, tmp_path: Path) -> None:
    result = runner.invoke(app, ["reproduce", "small", "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "2 arms x 3 seeds" in result.output
    assert "outside" not in result.output
    assert "no evidence" in result.output


def test_what_comes_out_otherwise_is_outside_and_ends_with_1(stated: Path, tmp_path: Path) -> None:
    said = json.loads(stated.read_text())
    said["arms"]["model"]["scores"] = {"0": 0.9, "1": 0.9, "2": 0.91}
    stated.write_text(json.dumps(said))
    command = ["reproduce", "recipe:small", "--out", str(tmp_path / "out")]
    result = runner.invoke(app, command)
    assert result.exit_code == 1
    assert "outside" in result.output
    rows = json.loads(runner.invoke(app, [*command, "--json"]).stdout)
    assert {row["arm"]: row["inside"] for row in rows} == {"model": False, "no-model": True}


def test_the_stated_seeds_are_trained_again(
    stated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stated.write_text(json.dumps({**json.loads(stated.read_text()), "seeds": [4, 5, 6]}))
    seeds: list[int] = []

    def compare(comparison: Comparison, *_: object, **__: object) -> None:
        seeds.extend(comparison.seeds)
        raise KeyboardInterrupt

    monkeypatch.setattr(comparing, "compare", compare)
    runner.invoke(app, ["reproduce", "small", "--out", str(tmp_path / "new")])
    assert seeds == [4, 5, 6]


def test_a_recipe_of_which_nothing_is_stated_is_an_error(stated: Path) -> None:
    result = runner.invoke(app, ["reproduce", "smal"])
    assert result.exit_code != 0
    assert "did you mean 'small'" in str(result.exception) + result.output


@pytest.mark.slow
@pytest.mark.real_model
@pytest.mark.parametrize(
    "recipe",
    [
        "comparisons/rewards-goal-similarity",
        "comparisons/rewards-goal-similarity-open",
        "comparisons/frozenlake",
    ],
)
def test_three_recipes_come_out_as_stated(recipe: str, tmp_path: Path) -> None:
    result = runner.invoke(app, ["reproduce", recipe, "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
