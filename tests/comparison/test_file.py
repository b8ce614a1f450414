from __future__ import annotations

from pathlib import Path

import pytest

from dragoman.comparison.comparison import Reference
from dragoman.comparison.file import read_comparison
from dragoman.errors import ConfigError
from dragoman.experiment.source import COMPARED_STEPS, STARTER, read_experiment
from tests.comparison.small_comparisons import make_comparison, write_file

ROOT = Path(__file__).parents[2]
COMPARISONS = sorted(
    file for name in ("comparisons", "acting") for file in ROOT.glob(f"recipes/{name}/*.yaml")
)
ARMS = "arms:\n  whole: {}\n  half: {observe.layer: 1, about: half of it}\n"


def test_baseline_and_controls_are_added(tmp_path: Path) -> None:
    comparison = make_comparison(tmp_path, more=ARMS, seeds=3)
    assert {name: arm.kind for name, arm in comparison.arms.items()} == {
        "whole": "arm",
        "half": "arm",
        "no-model": "baseline",
        "random-weights": "control",
        "learned-embedding": "control",
    }
    assert comparison.seeds == (0, 1, 2)
    assert comparison.name == "small"
    assert comparison.baseline == "no-model"
    assert comparison.arms["half"].about == "half of it"
    assert comparison.experiment("half").observe.layer == 1
    assert comparison.experiment("no-model").observe is None
    assert comparison.experiment("random-weights").model.weights == "random"
    assert not comparison.experiment("learned-embedding").uses_model
    # The wording is the role's own, and everyone is told what an arm knew beforehand.
    assert "pre-training" in comparison.arms["whole"].prior
    assert "no pre-training" in comparison.arms["random-weights"].prior


def test_what_two_roles_hand_over_is_said_once(tmp_path: Path) -> None:
    two = make_comparison(tmp_path, more="arms: {model: {act: {policy: match}}}\n").arms["model"]
    parts = two.prior.split("; ")
    assert "the language model's pre-training" in parts
    assert len(parts) == len(set(parts)) == 3


def test_controls_are_made_from_the_first_arm_that_uses_the_role(tmp_path: Path) -> None:
    off = "arms:\n  without: {observe: null}\n  half: {observe.layer: 1, steps: 9}\n"
    comparison = make_comparison(tmp_path, more=off)
    made = comparison.experiment("random-weights")
    assert (made.observe.layer, made.steps) == (1, 9)


@pytest.mark.parametrize(
    ("switch", "controls"),
    [
        ("true", ["random-weights", "learned-embedding"]),
        ("false", []),
        ("[random-weights]", ["random-weights"]),
    ],
)
def test_controls_are_switched(switch: str, controls: list[str], tmp_path: Path) -> None:
    arms = make_comparison(tmp_path, more=f"controls: {switch}\n").arms
    assert [name for name, arm in arms.items() if arm.kind == "control"] == controls


def test_seeds_share_answers_unless_what_they_cost_is_the_budget(tmp_path: Path) -> None:
    def shared(more: str) -> bool:
        return make_comparison(tmp_path, more=more).experiment("model").model.disk_cache

    assert shared("")
    assert not shared("budget: tokens\n")
    file = write_file(tmp_path)
    assert not (
        read_comparison(file, overrides={"model.disk_cache": False})
        .experiment("model")
        .model.disk_cache
    )


def test_the_base_is_found_beside_the_file_and_overridden(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "base.yaml").write_text("env: CartPole-v1\nsteps: 5\n")
    file = tmp_path / "mine.yaml"
    file.write_text("base: recipes/base.yaml\nthreshold: 0.7\nseeds: [3, 5]\n")
    comparison = read_comparison(file, overrides={"algorithm.name": "a2c"}, budget="seconds")
    experiment = comparison.experiment("model")
    assert (experiment.steps, experiment.algorithm.name) == (5, "a2c")
    assert (comparison.seeds, comparison.budget, comparison.threshold) == ((3, 5), "seconds", 0.7)
    more = "set: {steps: 7, algorithm.name: dqn}\narms: {short: {}, long: {steps: 9}}\n"
    file.write_text(f"base: recipes/base.yaml\n{more}")
    comparison = read_comparison(file)
    steps = {arm: comparison.experiment(arm).steps for arm in comparison.arms}
    assert steps["short"] == steps["no-model"] == 7
    assert steps["long"] == 9
    assert comparison.experiment("short").algorithm.name == "dqn"
    given = read_comparison(file, overrides={"algorithm.name": "a2c"})
    assert given.experiment("short").algorithm.name == "a2c"
    file.write_text("base: nowhere.yaml\n")
    with pytest.raises(ConfigError, match=r"no base experiment 'nowhere.yaml'"):
        read_comparison(file)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("armz: {}\n", r"unknown key 'armz' \(did you mean 'arms'\?\)"),
        ("evaluation: {episode: 3}\n", r"unknown key 'evaluation.episode'"),
        ("budget: tokns\n", "budget is 'tokns'"),
        ("threshold: high\n", "threshold is 'high'"),
        ("evaluation: {episodes: 0}\n", r"evaluation.episodes is 0"),
        ("seeds: [1, 1]\n", r"the seeds are \[1, 1\]"),
        ("arms: {a: {observe.layr: 1}}\n", r"arm 'a': unknown key 'observe.layr'"),
        ("arms: {a: {env: CartPole-v1}}\n", "arm 'a' changes env"),
        ("arms: {a: {env_settings.is_slippery: true}}\n", r"changes env_settings.is_slippery"),
        ("arms: {a/b: {}}\n", "'a/b' cannot name an arm"),
        ("arms: {no-model: {}}\n", "an arm is called 'no-model'"),
        ("arms: {a: {observe: null}}\n", "no arm uses a role"),
        ("arms: {a: {}}\nbaseline: b\n", "the baseline 'b' is no arm"),
        ("arms: {a: {}}\nbaseline: a\n", "needs an arm and one baseline"),
        (
            "controls: [random-weight]\n",
            r"no control 'random-weight' \(did you mean 'random-weights'\?\)",
        ),
    ],
)
def test_what_does_not_fit_names_value_and_cure(more: str, message: str, tmp_path: Path) -> None:
    file = write_file(tmp_path, more=more)
    with pytest.raises(ConfigError, match=message) as error:
        read_comparison(file)
    assert error.value.cure


@pytest.mark.parametrize("file", COMPARISONS, ids=lambda file: file.stem)
def test_every_comparison_that_comes_with_it_can_be_read(file: Path) -> None:
    comparison = read_comparison(file)
    assert comparison.arms[comparison.baseline].kind == "baseline"
    assert all(comparison.experiment(name) for name in comparison.arms)


def test_the_best_known_return_is_looked_up_in_the_catalogue(tmp_path: Path) -> None:
    def reference(text: str) -> Reference:
        file = tmp_path / "small.yaml"
        file.write_text(text)
        return read_comparison(file).reference

    tidy = "base: {env: dragoman/TidyHouse-v0}\nevaluation: {env_settings: {split: test}}\n"
    assert reference(tidy) == Reference(1.0, "oracle, 100 episodes")
    assert reference("base: {env: CartPole-v1}\n").best_known == 500.0
    # Another time limit or other settings are another task.
    assert reference("base: {env: CartPole-v1, max_episode_steps: 9}\n") == Reference()
    assert reference(tidy.replace("split: test", "num_objects: 1")) == Reference()
    given = "reference: {best_known: 7, source: me}\n"
    assert reference(tidy + given) == Reference(7, "me")


def test_an_environment_alone_is_compared_in_minutes_and_otherwise_as_it_says() -> None:
    alone = read_comparison("CartPole-v1")
    assert (alone.seeds, alone.base["steps"]) == (tuple(range(6)), COMPARED_STEPS)
    assert (alone.evaluation.episodes, alone.evaluation.sampled) == (10, False)
    longer = read_comparison("CartPole-v1", overrides={"steps": 9000}, seeds=2)
    assert (longer.seeds, longer.base["steps"]) == ((0, 1), 9000)
    written = read_comparison(read_experiment("CartPole-v1"))
    assert (len(written.seeds), written.base["steps"]) == (10, STARTER["steps"])
    assert (written.evaluation.episodes, written.evaluation.sampled) == (50, True)
