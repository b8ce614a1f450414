from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from dragoman.comparison.results import write_results
from tests.comparison.making import make_comparison, write_comparison

SEEDS = 10
NOISE = np.linspace(0.0, 0.09, SEEDS)


def results(tmp_path: Path, random: float = 0.1, more: str = "", **means: float) -> dict:
    comparison = make_comparison(tmp_path, more=more, seeds=SEEDS)
    scores = {
        name.replace("_", "-"): list(mean + np.roll(NOISE, shift))
        for shift, (name, mean) in enumerate(means.items())
    }
    folder = write_comparison(tmp_path / "out", comparison, scores, random)
    returned = write_results(folder)
    written = json.loads((tmp_path / "out" / "results.json").read_text(), parse_constant=int)
    assert written == returned
    return written


def test_helped_needs_every_control_and_chance(tmp_path: Path) -> None:
    placebos = {"no_model": 0.2, "random_weights": 0.3, "learned_embedding": 0.4}
    found = results(tmp_path, **{"model": 0.8}, **placebos)
    arm = found["arms"]["model"]
    assert arm["verdict"]["outcome"] == "helped"
    assert arm["verdict"]["reason"].startswith("better than 'no-model'")
    against = [one["against"] for one in arm["verdict"]["comparisons"]]
    assert against == ["no-model", "random-weights", "learned-embedding"]
    assert math.isclose(arm["mean"]["estimate"], 0.845)
    assert arm["mean"]["low"] < 0.845 < arm["mean"]["high"]
    assert found["arms"]["no-model"]["verdict"] is None
    assert arm["scores"]["1"] == 0.81
    assert arm["costs"]["1"]["seconds"] == 2.0
    assert set(arm["status"].values()) == {"finished"}


def test_a_placebo_that_does_as_well_leaves_no_evidence(tmp_path: Path) -> None:
    means = {"model": 0.8, "no_model": 0.2, "random_weights": 0.8, "learned_embedding": 0.4}
    verdict = results(tmp_path, **means)["arms"]["model"]["verdict"]
    assert verdict["outcome"] == "no evidence"
    assert "random-weights" in verdict["reason"]


def test_better_than_all_but_not_than_chance(tmp_path: Path) -> None:
    means = {"model": 0.8, "no_model": 0.2, "random_weights": 0.3, "learned_embedding": 0.4}
    verdict = results(tmp_path, random=0.9, **means)["arms"]["model"]["verdict"]
    assert verdict["outcome"] == "no evidence"
    assert "not above chance" in verdict["reason"]


def test_an_arm_is_held_to_the_controls_of_its_own_roles(tmp_path: Path) -> None:
    more = "arms: {model: {}, plain: {observe: null, algorithm.settings.gamma: 0.9}}\n"
    means = {"model": 0.8, "plain": 0.8, "no_model": 0.2, "random_weights": 0.9}
    arms = results(tmp_path, more=more + "controls: [random-weights]\n", **means)["arms"]
    assert arms["model"]["verdict"]["outcome"] == "no evidence"
    # It asks no model, so no placebo of one says anything about it.
    assert arms["plain"]["verdict"]["outcome"] == "helped"


def test_a_control_that_never_finished_is_named(tmp_path: Path) -> None:
    found = results(tmp_path, model=0.8, no_model=0.2, random_weights=0.3)
    verdict = found["arms"]["model"]["verdict"]
    assert verdict["outcome"] == "no evidence"
    assert "learned-embedding" in verdict["reason"]
    assert found["arms"]["learned-embedding"]["mean"] is None
