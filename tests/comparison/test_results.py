from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from dragoman.comparison.folder import ComparisonFolder
from dragoman.comparison.results import read_results, results_of, write_results
from dragoman.errors import RunError
from dragoman.report.document import write_report
from dragoman.stats.bootstrap import number
from tests.comparison.small_comparisons import make_comparison, write_comparison, write_run

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
    result = results(tmp_path, **{"model": 0.8}, **placebos)
    arm = result["arms"]["model"]
    assert arm["verdict"]["outcome"] == "helped"
    assert arm["verdict"]["reason"].startswith("better than 'no-model'")
    against = [item["against"] for item in arm["verdict"]["comparisons"]]
    assert against == ["no-model", "random-weights", "learned-embedding"]
    assert math.isclose(arm["mean"]["estimate"], 0.845)
    assert arm["mean"]["low"] < 0.845 < arm["mean"]["high"]
    assert result["arms"]["no-model"]["verdict"] is None
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


def test_a_verdict_is_said_in_plain_words(tmp_path: Path) -> None:
    placebos = {"no_model": 0.2, "random_weights": 0.3, "learned_embedding": 0.4}
    verdict = results(tmp_path, **{"model": 0.8}, **placebos)["arms"]["model"]["verdict"]
    assert verdict["summary"] == (
        "The arm 'model' helped: it scored 0.6 more than the same training without the model, "
        "and more than each control."
    )
    assert verdict["is_final"]
    differences = verdict["comparisons"][0]["by_seed"]
    assert len(differences) == SEEDS
    assert np.isclose(np.mean(differences), verdict["comparisons"][0]["difference"]["estimate"])


@pytest.mark.parametrize(
    ("means", "words"),
    [
        ({"model": 0.1, "no_model": 0.8}, "The arm 'model' hurt: it scored 0.7 less than the same"),
        ({"model": 0.5, "no_model": 0.51}, "it scored 0.01 less than the same training"),
        (
            {"model": 0.5, "no_model": 0.495},
            "0.005 more than the same training without the model, ",
        ),
        ({"model": 0.05, "no_model": 0.0}, "but not more than actions drawn at random"),
        (
            {"model": 0.8, "no_model": 0.2, "random_weights": 0.9},
            "it scored 0.6 more than the same training without the model, but was not shown to "
            "score more than the control 'random-weights' (",
        ),
    ],
)
def test_what_did_not_help_is_said_with_what_could_have_been_seen(
    means: dict[str, float], words: str, tmp_path: Path
) -> None:
    more = "controls: [random-weights]\n" if len(means) == 3 else "controls: false\n"
    verdict = results(tmp_path, random=0.1, more=more, **means)["arms"]["model"]["verdict"]
    assert words in verdict["summary"]
    if verdict["outcome"] == "no evidence":
        assert verdict["summary"].startswith("No evidence that the arm 'model' helps: it scored ")
        gain = number(verdict["power"]["detectable_gain"])
        assert (
            f"10 seeds could only have shown a gain above about {gain} with" in verdict["summary"]
        )


def test_too_few_seeds_are_said_to_be_too_few(tmp_path: Path) -> None:
    comparison = make_comparison(tmp_path, more="controls: false\n", seeds=4)
    scores = {"model": [0.5, 0.6, 0.7], "no-model": [0.4, 0.5, 0.6]}
    folder = write_comparison(tmp_path / "out", comparison, scores)
    verdict = write_results(folder)["arms"]["model"]["verdict"]
    assert verdict["summary"] == (
        "No verdict is possible: 3 seeds cannot show a gain of any size, 5 can. So far it scored "
        "0.1 more than the same training without the model."
    )
    assert not verdict["is_final"]


def test_a_control_that_never_finished_is_named(tmp_path: Path) -> None:
    result = results(tmp_path, model=0.8, no_model=0.2, random_weights=0.3)
    verdict = result["arms"]["model"]["verdict"]
    assert verdict["outcome"] == "no evidence"
    assert "learned-embedding" in verdict["reason"]
    assert result["arms"]["learned-embedding"]["mean"] is None


@pytest.fixture
def folder(tmp_path: Path) -> ComparisonFolder:
    comparison = make_comparison(tmp_path, more="controls: false\n")
    return write_comparison(tmp_path / "out", comparison, {"model": [0.5, 1.0], "no-model": [0.0]})


def change(folder: ComparisonFolder, **values: object) -> None:
    """Write other values into ``results.json``, so that it shows whether it is read."""
    file = folder.path / "results.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def test_results_are_read_as_they_stand(folder: ComparisonFolder) -> None:
    assert read_results(folder) == results_of(folder)
    change(folder, random=0.75)
    assert read_results(folder)["random"] == 0.75
    # Runs that were deleted keep their place.
    shutil.rmtree(folder.run_folder("model", 1))
    assert read_results(folder)["arms"]["model"]["scores"] == {"0": 0.5, "1": 1.0}


def test_results_are_computed_again_where_a_run_is_newer(folder: ComparisonFolder) -> None:
    write_results(folder)
    change(folder, random=0.75)
    write_run(folder, "no-model", 1, 0.25)
    assert read_results(folder) == results_of(folder)
    assert read_results(folder)["arms"]["no-model"]["scores"] == {"0": 0.0, "1": 0.25}
    change(folder, random=0.75)
    file = folder.run_folder("model", 0) / "evaluation.json"
    file.write_text(file.read_text().replace("0.5", "0.625"))
    assert read_results(folder)["arms"]["model"]["scores"]["0"] == 0.625


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": 1}', '{"format": 4}'])
def test_results_that_are_damaged_or_older_are_computed_again(
    content: str, folder: ComparisonFolder
) -> None:
    (folder.path / "results.json").write_text(content)
    assert read_results(folder) == results_of(folder)
    assert json.loads((folder.path / "results.json").read_text()) == results_of(folder)


def test_results_of_a_newer_version_are_refused(folder: ComparisonFolder) -> None:
    write_results(folder)
    change(folder, format=99)
    with pytest.raises(RunError, match=r"format 99, .* reads up to 5") as error:
        read_results(folder)
    assert "remove the file" in error.value.cure


def test_results_of_a_folder_that_cannot_be_written(
    folder: ComparisonFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(file: Path, data: object) -> None:
        raise PermissionError(13, "Permission denied")

    # Root may write everywhere, so the refusal is made here.
    monkeypatch.setattr("dragoman.comparison.results.write_json", refuse)
    assert read_results(folder) == results_of(folder)
    assert "Permission denied" in caplog.text


def test_sampled_actions_are_judged_where_a_file_says_so(tmp_path: Path) -> None:
    more = "evaluation: {episodes: 4, judged: sampled}\ncontrols: false\n"
    comparison = make_comparison(tmp_path, more=more, seeds=5)
    scores = {"model": [0.8, 0.9, 1.0, 0.9, 0.8], "no-model": [0.2, 0.3, 0.2, 0.1, 0.2]}
    folder = write_comparison(tmp_path / "out", comparison, scores)
    assert folder.scores("model")[2] == pytest.approx(0.75)  # of 1 and 1 / 2
    results = results_of(folder)
    arm = results["arms"]["model"]
    assert results["judged"] == "sampled"
    assert arm["mean"]["estimate"] == pytest.approx(arm["sampled_mean"])
    assert arm["sampled_mean"] == pytest.approx(0.75 * 0.88)
    assert arm["greedy_mean"] == pytest.approx(0.88)
    gain = arm["verdict"]["comparisons"][0]["difference"]["estimate"]
    assert gain == pytest.approx(0.75 * (0.88 - 0.2))
    page = write_report(folder.path)
    assert "mean, greedy" in page.markdown.read_text()
    assert "actions drawn from the policy" in page.markdown.read_text()


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    comparison = make_comparison(tmp_path, more="controls: false\n", seeds=1)
    folder = write_comparison(tmp_path / "out", comparison, {"model": [0.5]})
    arm = results_of(folder)["arms"]["model"]
    assert (arm["mean"]["estimate"], arm["mean"]["low"]) == (0.5, None)
    assert set(arm["curve"]["low"]) == {None}
    assert (arm["worst"], arm["best"], arm["sampled_mean"]) == (0.5, 0.5, 0.375)
