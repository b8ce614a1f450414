"""Every comparison of exploration is loaded, completed by controls and trained for one update."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dragoman.comparison.file import read_comparison
from dragoman.engines.train import train
from dragoman.testing import ScriptedModel
from tests.short_experiments import one_update

ROOT = Path(__file__).parent.parent
COMPARISONS = sorted((ROOT / "recipes/comparisons").glob("explore-*.yaml"))
SHORT = {"num_envs": 2, "algorithm.settings.batch_size": 32}
CONTROLS = ["noise-bonus", "exact-counts", "random-weights"]
WITHOUT_RANDOM_WEIGHTS = ("explore-textworld", "explore-unlockpickup")
"""They read many new texts, and random weights share none with another seed."""


@pytest.mark.parametrize(
    "file",
    [
        # Seven trainings in games that take seconds to make.
        pytest.param(file, marks=pytest.mark.slow if "textworld" in file.stem else (), id=file.stem)
        for file in COMPARISONS
    ],
)
def test_every_comparison_of_exploration_trains_for_one_update(file: Path, tmp_path: Path) -> None:
    comparison = read_comparison(file)
    baseline = "none" if file.stem == "explore-textworld" else "no-model"
    controls = CONTROLS[:2] if file.stem in WITHOUT_RANDOM_WEIGHTS else CONTROLS
    assert sorted(comparison.arms) == sorted(["e3b", "sub-goals", baseline, *controls])
    assert len(comparison.seeds) >= 6
    model = ScriptedModel(lambda text: [1.0, float(len(text))], num_layers=30)
    for name, arm in comparison.arms.items():
        experiment = one_update(comparison.experiment(name).replaced(SHORT))
        if "num_games" in experiment.env_settings:  # a game takes a second to make
            experiment = experiment.replaced({"env_settings.num_games": 1})
        assert arm.kind == ("arm" if name in ("e3b", "sub-goals") else arm.kind)
        assert (experiment.explore is None) == (name == baseline)
        run = train(experiment, out=tmp_path / name, model=model)
        assert len(run.metrics()) >= 1
        if experiment.explore is not None:
            assert np.isfinite(run.last_metrics()["explore/scale"])
