"""Measurements that take long must go on where they were stopped."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

SCRIPT = Path(__file__).parents[1] / "benchmarks/recipes.py"
ROW = ["tidyhouse", "16,384", "1.0", "273", "0.9", "0.1"]


@pytest.fixture
def recipes() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(SCRIPT)))


def test_rows_that_are_there_are_kept_and_failures_are_not(
    recipes: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    able = {"avx2": True, "avx512_f": True, "avx512_bf16": True, "amx_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    assert recipes.kind() == ("avx512_bf16", "AVX-512 with bfloat16")
    file = tmp_path / "recipes_avx512_bf16.md"
    failed = ["gpt2-cartpole", "32,768", "failed: error: no hub", "", "", ""]
    # Written as they came; the table keeps to the order of the recipes.
    recipes.write(file, {"tidyhouse": ROW, "gpt2-cartpole": failed}, "AVX-512 with bfloat16")
    assert file.read_text().count("\n| ") == 3
    assert recipes.rows_of(file) == {"tidyhouse": ROW}
    # Nothing is trained where the row is there.
    monkeypatch.setattr(sys, "argv", ["recipes.py", "tidyhouse", "--out", str(tmp_path)])
    before = file.read_bytes()
    recipes.main()
    assert file.read_bytes() == before


def test_a_recipe_that_cannot_train_says_why(recipes: SimpleNamespace) -> None:
    row = recipes.measured("comparisons/rewards-written", {"steps": 16})
    assert row[2].startswith("failed: error: the program")
    assert recipes.experiment_of("acting/babyai", {}).act.policy == "score"
    assert not recipes.experiment_of("acting/babyai", {}).model.disk_cache


def test_changed_recipes_are_not_written_among_the_recipes(
    recipes: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        recipes.main(["frozenlake", "--set", "steps=1"])
    assert "give another --out" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        recipes.main(["frozenlak"])


def test_minutes_are_projected_by_the_pace_after_the_first_row(recipes: SimpleNamespace) -> None:
    rows = [{"step": 100, "time/seconds": 5.0}, {"step": 300, "time/seconds": 15.0}]
    # 5 s before the first step, 5 s to the first row, and 0.05 s for each of 900 more steps.
    assert recipes.projected(rows, 1000, started=20.0) == pytest.approx(55.0)


def test_a_long_training_is_stopped_once_two_rows_are_there(recipes: SimpleNamespace) -> None:
    row = recipes.measured("frozenlake", {"observe": None, "steps": 10**8}, seconds=0.0)
    assert row[1] == "100,000,000"
    assert row[2].startswith("~")
    assert float(row[2][1:]) > 100.0
