"""Every comparison of rewards and of written features trains for one update, with its controls."""

from __future__ import annotations

import re
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dragoman.comparison.file import read_comparison
from dragoman.comparison.plan import plan_of
from dragoman.engines.train import train
from dragoman.errors import ConfigError
from dragoman.testing import ScriptedModel
from tests.short_experiments import one_update

ROOT = Path(__file__).parent.parent
COMPARISONS = sorted((ROOT / "recipes/comparisons").glob("rewards-*.yaml"))
FEATURES = sorted((ROOT / "recipes/comparisons").glob("features-*.yaml"))

POTENTIAL = """
def potential(state):
    row, column = state["value"] // 8, state["value"] % 8
    return (row + column) / 14
"""


PLACE = re.compile(r"row (\d+), column (\d+) of")


def place(text: str) -> list[float]:
    """Return the last row and column that a text names; two numbers of its length without any."""
    result = PLACE.findall(text)
    return [float(number) for number in (result[-1] if result else divmod(len(text) % 64, 8))]


def log_prob(prompt: str, candidate: str) -> float:
    """Return a log-prob by which the answer depends on the place, whatever is asked."""
    return -1.0 - abs(sum(place(prompt)) - len(candidate))


def scripted(answer: str = '{"critique": "Near.", "score": 5}') -> ScriptedModel:
    return ScriptedModel(
        lambda text: [1.0, *place(text)],
        hidden_size=3,
        num_layers=30,
        log_probs=lambda prompt, candidate: [log_prob(prompt, candidate)],
        write=lambda prompt, seed: answer,
    )


def write_program() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "recipes/write_program.py"))


@pytest.fixture(scope="module")
def working_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recipes, in which a scripted model has written a potential."""
    folder = tmp_path_factory.mktemp("recipes")
    (folder / "recipes").symlink_to(ROOT / "recipes")
    write = write_program()["write"]
    out = folder / "runs/written-frozenlake"
    result = write(scripted(f"```python{POTENTIAL}```"), out, steps=1024)
    assert result.counts["trained"] == 2
    return folder


@pytest.fixture
def written(working_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program that a scripted model has written in the working folder."""
    monkeypatch.chdir(working_folder)
    return working_folder / "runs/written-frozenlake/best.py"


@pytest.mark.filterwarnings("ignore::dragoman.roles.reward.rewarder.BonusWarning")
@pytest.mark.parametrize("file", COMPARISONS, ids=lambda file: file.stem)
def test_every_comparison_of_rewards_trains_for_one_update(
    file: Path, written: Path, tmp_path: Path
) -> None:
    comparison = read_comparison(file)
    judged = [name for name, arm in comparison.arms.items() if arm.kind == "arm"]
    controls = [name for name, arm in comparison.arms.items() if arm.kind == "control"]
    assert controls == ["constant-reward", "noise-reward"]
    assert len(comparison.seeds) >= plan_of(comparison).fewest_seeds[judged[0]]
    without = comparison.experiment(comparison.baseline)
    assert without.reward is None
    for arm in comparison.arms:
        experiment = comparison.experiment(arm)
        # Arms differ in the reward alone, and in who is asked for it.
        assert replace(experiment, reward=None, model=without.model) == without
        run = train(one_update(experiment), out=tmp_path / arm, model=scripted())
        weighed = {key for key in run.metrics()[-1] if key.startswith("reward_weight/")}
        terms = ("env", *experiment.reward.terms) if experiment.reward else ()
        assert weighed == {f"reward_weight/{term}" for term in terms}
        assert bool(terms) == (arm != comparison.baseline)


@pytest.mark.parametrize("file", FEATURES, ids=lambda file: file.stem)
def test_every_comparison_of_features_trains_for_one_update(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    comparison = read_comparison(file)
    kinds = {name: arm.kind for name, arm in comparison.arms.items()}
    assert kinds.pop("random-features") == "control"
    assert len(comparison.seeds) >= plan_of(comparison).fewest_seeds["written"]
    baseline = comparison.experiment(comparison.baseline)
    for arm in comparison.arms:
        experiment = comparison.experiment(arm)
        assert experiment.observe is not None
        # Arms differ in the features alone.
        seen = replace(experiment.observe, written=None)
        assert replace(experiment, observe=seen) == baseline
        run = train(one_update(experiment), out=tmp_path / arm)
        assert not run.experiment.uses_model


def test_a_program_from_a_search_reaches_the_comparison(written: Path) -> None:
    assert "// 8" in written.read_text()


def test_a_model_that_writes_no_program_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none of 2 programs could be trained"):
        write_program()["write"](scripted("I would walk to the goal."), tmp_path)
    assert not (tmp_path / "best.py").exists()
