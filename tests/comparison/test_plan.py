from __future__ import annotations

import math

import pytest
from typer.testing import CliRunner

from dragoman.cli import app
from dragoman.comparison.file import read_comparison
from dragoman.comparison.plan import plan_of

SOURCE = "recipe:frozenlake"


def test_the_size_is_arms_times_seeds() -> None:
    plan = plan_of(read_comparison(SOURCE, seeds=6, overrides={"steps": 1024}))
    # The model, no model, random weights and a learned embedding.
    assert (plan.runs, plan.steps, plan.seeds) == (24, 24 * 1024, 6)


# One arm against three opponents: 2^-n <= 0.05 / 3 from six seeds on.
@pytest.mark.parametrize(
    ("seeds", "sentence"),
    [
        (1, "1 seed cannot give a verdict, 6 can (--seeds 6)"),
        (5, "5 seeds cannot give a verdict, 6 can (--seeds 6)"),
        (6, "6 seeds can give a verdict: a gain of "),
        (10, "10 seeds can give a verdict: a gain of "),
    ],
)
def test_it_says_whether_the_seeds_can_give_a_verdict(seeds: int, sentence: str) -> None:
    plan = plan_of(read_comparison(SOURCE, seeds=seeds))
    assert plan.fewest_seeds == {"model": 6}
    assert plan.verdict.startswith(sentence)
    assert math.isinf(plan.detectable["model"]) == (seeds < 6)


def test_more_seeds_show_smaller_gains() -> None:
    gains = [plan_of(read_comparison(SOURCE, seeds=n)).detectable["model"] for n in (6, 10, 20)]
    assert gains == sorted(gains, reverse=True)


def test_the_command_only_prints_it(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dragoman.cli.compare.measured", lambda *_, **__: "about 9 minutes")
    result = CliRunner().invoke(app, ["compare", SOURCE, "--seeds", "3", "--plan"])
    assert result.exit_code == 0
    assert "4 arms x 3 seeds = 12 runs" in result.stderr
    assert "3 seeds cannot give a verdict, 6 can" in result.stderr
    assert "learned-embedding" in result.stderr
    assert result.stderr.endswith("about 9 minutes\n")
    assert not list(tmp_path.iterdir())
