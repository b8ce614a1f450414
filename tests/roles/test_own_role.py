"""A role of a user's own trains, is compared and is reported, without a change of Dragoman."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from gymnasium.vector import VectorEnv
from typer.testing import CliRunner

from dragoman.agents.evaluate import evaluate
from dragoman.cli import app
from dragoman.comparison.file import read_comparison
from dragoman.engines.train import train
from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.roles.control import Control
from dragoman.roles.role import Context, roles_of
from dragoman.run import Run
from dragoman.run.trust import code_of
from dragoman.testing import ScriptedModel

FILE = Path(__file__).parents[2] / "docs/snippets/own_role.py"
NOVELTY = {"use": f"{FILE}:Novelty", "weight": 0.5}
BASE: dict[str, Any] = {
    "env": "FrozenLake-v1",
    "env_settings": {"is_slippery": False},
    "observe": None,
    "steps": 256,
    "num_envs": 4,
    "algorithm": {"name": "ppo", "settings": {"n_steps": 16, "batch_size": 64, "n_epochs": 1}},
    "roles": {"novelty": NOVELTY},
}


def test_it_trains_and_leaves_the_own_returns_alone(tmp_path: Path) -> None:
    run = train(Experiment.from_dict(BASE), out=tmp_path / "run")
    rows = run.metrics()
    # FrozenLake has 16 squares, of which a random walk sees some.
    assert 4 <= rows[-1]["novelty/states"] <= 16
    assert {episode["return"] for episode in run.episodes()} <= {0.0, 1.0}
    plain = train(Experiment.from_dict({**BASE, "roles": {}}), out=tmp_path / "plain")
    assert rows[-1]["train/value_loss"] != plain.metrics()[-1]["train/value_loss"]
    # Nobody else needs the role to play.
    assert evaluate(run, 2).returns == evaluate(Run(tmp_path / "run"), 2).returns


def test_it_stands_beside_the_roles_of_dragoman(tmp_path: Path) -> None:
    experiment = Experiment.from_dict(
        {**BASE, "observe": {}, "act": {"policy": "match"}, "describe": {"history": 1}}
    )
    assert list(roles_of(experiment)) == ["observe", "act", "roles.novelty"]
    model = ScriptedModel(lambda text: [len(text), text.count("1")])
    run = train(experiment, out=tmp_path / "run", model=model)
    assert run.metrics()[-1]["novelty/states"] >= 4


@dataclass(frozen=True)
class Asking:
    """Asks the language model once, and changes nothing."""

    controls: ClassVar[tuple[Control, ...]] = ()
    prior: ClassVar[str] = "none"
    uses_model: ClassVar[bool] = True

    def wrap(self, env: VectorEnv, context: Context) -> VectorEnv:
        assert context.model is not None
        context.model.encode(["one", "two"])
        return env


def test_what_its_model_costs_is_the_runs(tmp_path: Path) -> None:
    roles = {"asking": {"use": "tests.roles.test_own_role:Asking"}}
    model = ScriptedModel(lambda text: [len(text), 1.0])
    run = train(Experiment.from_dict({**BASE, "roles": roles}), out=tmp_path / "run", model=model)
    assert run.metrics()[-1]["model/texts"] == 2


def test_its_controls_are_arms_and_the_baseline_is_without_it(tmp_path: Path) -> None:
    file = tmp_path / "compare.yaml"
    steps = {**BASE, "steps": 64}
    content = {"base": steps, "arms": {"novel": {}}, "seeds": 2, "evaluation": {"episodes": 2}}
    file.write_text(yaml.safe_dump(content))
    comparison = read_comparison(file)
    assert list(comparison.arms) == ["novel", "no-model", "any-state"]
    assert comparison.arms["any-state"].overrides == {"roles.novelty.counts": "one"}
    assert comparison.arms["any-state"].role == "roles.novelty"
    assert not comparison.experiment("no-model").own_roles
    folder = tmp_path / "compared"
    done = CliRunner().invoke(app, ["compare", str(file), "--out", str(folder), "--jobs", "1"])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(app, ["report", str(folder)])
    assert done.exit_code == 0, done.output
    page = (folder / "report.md").read_text()
    assert "any-state" in page
    assert "the describer's wording, as names of states" in page


def test_its_code_takes_the_users_word() -> None:
    lines = list(code_of(Experiment.from_dict(BASE)))
    assert lines == [f"the role novelty, {FILE}:Novelty"]


def controls_of(experiment: dict[str, Any]) -> tuple[Control, ...]:
    return roles_of(Experiment.from_dict(experiment))["roles.novelty"].controls


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"weight": 1}, "names no role"),
        ("my_role.py:Novelty", "Input should be a valid dictionary"),
        ({"use": f"{FILE}:Novelty", "wieght": 1}, "no setting 'wieght' (did you mean 'weight'?)"),
        ({"use": f"{FILE}:Novelty", "weight": "much"}, "roles.novelty.weight is 'much'"),
        ({"use": f"{FILE}:NoveltyVector"}, "which is no dataclass"),
        ({"use": "dragoman.experiment:Describe"}, "has no controls and no prior and no uses_model"),
        ({"use": f"{FILE}:Novel"}, "there is no 'Novel'"),
    ],
)
def test_what_is_no_role_says_so(given: Any, problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        controls_of({**BASE, "roles": {"novelty": given}})
    assert problem in str(error.value)
    assert error.value.cure


def test_a_role_that_is_off_is_no_role() -> None:
    off = Experiment.from_dict({**BASE, "roles": {"novelty": None}})
    assert roles_of(off) == {}
    with pytest.raises(ConfigError, match="'no vel' cannot name a role"):
        Experiment.from_dict({**BASE, "roles": {"no vel": NOVELTY}})
