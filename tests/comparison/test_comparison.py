from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

from dragoman.comparison.comparison import Comparison
from tests.comparison.small_comparisons import make_comparison

ROOT = Path(__file__).parents[2]
COMPARISONS = sorted(
    file for name in ("comparisons", "acting") for file in ROOT.glob(f"recipes/{name}/*.yaml")
)
ARMS = "arms:\n  whole: {}\n  half: {observe.layer: 1, about: half of it}\n"


def test_yaml_in_and_out(tmp_path: Path) -> None:
    comparison = make_comparison(tmp_path, more=ARMS + "reference: {best_known: 1, source: me}\n")
    file = tmp_path / "comparison.yaml"
    file.write_text(comparison.to_yaml())
    assert Comparison.from_yaml(file) == comparison
    written = yaml.safe_load(file.read_text())
    assert list(written) == [
        "name", "base", "arms", "seeds", "evaluation", "budget", "threshold", "reference",
        "precision", "engine",
    ]  # fmt: skip
    assert list(written["arms"]["half"]) == ["kind", "role", "about", "prior", "overrides"]


def test_reading_a_comparison_loads_no_torch() -> None:
    code = (
        "import sys, dragoman.comparison.comparison, dragoman.comparison.file\n"
        "import dragoman.comparison.listing, dragoman.comparison.runner\n"
        "assert not {'torch', 'transformers', 'stable_baselines3'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_arm_is_judged_against_the_controls_of_its_own_roles(tmp_path: Path) -> None:
    comparison = make_comparison(tmp_path, more=ARMS + "  plain: {observe: null}\n")
    controls = [name for name, arm in comparison.arms.items() if arm.kind == "control"]
    assert comparison.opponents("half") == ["no-model", *controls]
    assert comparison.opponents("plain") == ["no-model"]
