from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dragoman.comparison.comparison import Arm, Comparison
from dragoman.comparison.folder import keep
from dragoman.errors import ConfigError, RunError
from tests.comparison.small_comparisons import make_comparison, write_comparison

ARMS = "arms:\n  whole: {}\n  half: {observe.layer: 1, about: half of it}\n"


def test_a_folder_tells_scores_costs_and_curves(tmp_path: Path) -> None:
    scores = {"model": [0.5, 1.0], "no-model": [0.25]}
    write_comparison(tmp_path / "out", make_comparison(tmp_path), scores)
    folder = Comparison.open(tmp_path / "out")
    assert folder.scores("model") == {0: 0.5, 1: 1.0}
    assert folder.scores("random-weights") == {}
    assert list(folder.runs("no-model")) == [0]
    assert folder.random_score() == 0.1
    costs = folder.costs("model", 1)
    assert (costs["tokens"], costs["seconds"], costs["steps"]) == (0, 2, 64)
    steps, returns = folder.curve("model", 1)
    np.testing.assert_allclose(steps, [16, 32, 48])
    np.testing.assert_allclose(returns, [0.25, 0.625, 1.0])


def test_statuses_are_told_apart(tmp_path: Path) -> None:
    comparison = make_comparison(tmp_path)
    folder = write_comparison(tmp_path / "out", comparison, {"model": [1.0, 1.0]})

    def status() -> str:
        return folder.status("model", 0)

    run = folder.run_folder("model", 0)
    assert status() == "finished"
    (run / "evaluation.json").unlink()
    assert status() == "unevaluated"
    (run / "status.json").write_text('{"status": "interrupted", "steps": 3}')
    assert status() == "interrupted"
    (run / "config.yaml").unlink()
    assert status() == "interrupted"
    (run / "error.txt").write_text("no")
    assert status() == "failed"
    assert folder.status("no-model", 0) == "missing"
    assert list(folder.runs("model")) == [1]


def test_a_comparison_grows_but_does_not_change(tmp_path: Path) -> None:
    comparison = make_comparison(tmp_path)
    keep(tmp_path / "out", comparison)
    more = replace(comparison, seeds=(1, 2), threshold=0.5)
    more = replace(more, arms={**more.arms, "deep": Arm(overrides={"observe.layer": 2})})
    grown = keep(tmp_path / "out", more).comparison
    assert grown.seeds == (0, 1, 2)
    assert grown.threshold == 0.5
    assert "deep" in grown.arms


def test_a_changed_comparison_is_refused_by_its_differences(tmp_path: Path) -> None:
    comparison = make_comparison(tmp_path, more=ARMS)
    keep(tmp_path / "out", comparison)
    changed = make_comparison(tmp_path, more=ARMS.replace("layer: 1", "layer: 2"))
    changed = replace(changed, base={**changed.base, "steps": 65})
    with pytest.raises(ConfigError, match="holds another comparison") as error:
        keep(tmp_path / "out", changed)
    assert "base.steps was 64 and is 65" in error.value.problem
    assert "arms.half.overrides.observe.layer was 1 and is 2" in error.value.problem
    assert "--out" in error.value.cure
    fewer = replace(comparison, arms={k: v for k, v in comparison.arms.items() if k != "half"})
    with pytest.raises(ConfigError, match=r"arms.half.kind was 'arm' and is 'nothing'"):
        keep(tmp_path / "out", fewer)
    assert Comparison.open(tmp_path / "out").comparison == comparison


def test_a_folder_without_a_comparison_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is no folder of a comparison"):
        Comparison.open(tmp_path)


def test_a_comparison_with_nan_goes_on_where_it_stopped(tmp_path: Path) -> None:
    more = "arms: {model: {algorithm.settings.target_kl: .nan}}\n"
    comparison = make_comparison(tmp_path, more=more)
    keep(tmp_path / "out", comparison)
    keep(tmp_path / "out", comparison)
    with pytest.raises(ConfigError, match=r"target_kl was nan and is inf"):
        keep(tmp_path / "out", make_comparison(tmp_path, more=more.replace(".nan", ".inf")))
