"""The comparisons of acting recipes: every arm trains, on a tiny model."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import dragoman
from dragoman.comparison.file import read_comparison
from tests.models import tiny

RECIPES = sorted((Path(__file__).parent.parent / "recipes/acting").glob("*.yaml"))
ARMS = [
    pytest.param(recipe, arm, id=f"{recipe.stem}-{arm}")
    for recipe in RECIPES
    for arm in yaml.safe_load(recipe.read_text())["arms"]
]
SHORT = {
    "steps": 32,
    "num_envs": 2,
    "algorithm.settings.n_steps": 8,
    "algorithm.settings.batch_size": 8,
}
TINY = {"observe.layer": 1}
TUNED = {"act.tune.top": 1, "act.tune.warm_up": 0, "act.tune.max_action": 64}


@pytest.mark.parametrize(("recipe", "arm"), ARMS)
def test_every_arm_updates(recipe: Path, arm: str, tmp_path: Path) -> None:
    experiment = read_comparison(recipe).experiment(arm).replaced(SHORT)
    suite, _, _ = experiment.env.rpartition(":")
    if suite:
        library = suite.replace("-", "_")
        pytest.importorskip(library, reason=f"needs the extra {suite}")
    if "textworld" in experiment.env.lower():
        # What a game says is longer than a tiny model's context.
        experiment = experiment.replaced({"describe.observation": "A game of two rooms."})
    if "num_games" in experiment.env_settings:  # a game takes a second to make
        experiment = experiment.replaced({"env_settings.num_games": 1})
    if arm == "no-model":
        assert not experiment.uses_model
    else:
        assert experiment.act is not None
        experiment = experiment.replaced(TUNED if experiment.act.tune else TINY)
        if experiment.act.grammar is not None:  # the tiny tokenizer cuts words into more tokens
            experiment = experiment.replaced({"act.max_tokens": 32})
    run = dragoman.train(experiment, out=tmp_path / "run", model=tiny.make("llama"))
    assert max(row.get("train/n_updates", 0) for row in run.metrics()) > 0
