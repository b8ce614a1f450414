from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dragoman.errors import ConfigError, RewardError
from dragoman.roles.reward.preferences.annotations import (
    Asking,
    rates,
    read_annotations,
    sample_pairs,
)
from dragoman.roles.reward.preferences.network import evaluate, fit, pair_accuracy
from dragoman.roles.reward.preferences.reward import Preferences, annotated
from dragoman.roles.reward.protocols import Preparation
from dragoman.testing import ScriptedModel

PLACES = [f"place {i}" for i in range(40)]


def number(text: str) -> int:
    return int(text.split()[-1])


def situations(prompt: str) -> tuple[int, int]:
    lines = [line for line in prompt.splitlines() if line.startswith("Situation")]
    return number(lines[0]), number(lines[1])


def chooser(*, places: bool = False) -> ScriptedModel:
    """A model that prefers the greater number, or always the place that is named second."""

    def log_probs(prompt: str, candidate: str) -> list[float]:
        first, second = situations(prompt)
        better = 2 if places or second > first else 1
        return [-0.1 if candidate == f" {better}" else -2.0]

    def features(text: str) -> list[float]:
        return [number(text) / 40, (number(text) / 40) ** 2, 1.0]

    return ScriptedModel(features, hidden_size=3, log_probs=log_probs)


def prepare(settings: Preferences, model: ScriptedModel, folder: Path, seed: int = 0):
    return settings.prepared(Preparation("liked", model, lambda steps: PLACES, seed, folder))


def test_pairs_are_different_and_drawn_by_seed() -> None:
    pairs = sample_pairs([*PLACES, *PLACES], 200, 3)
    assert len({frozenset(pair) for pair in pairs}) == 200
    assert all(first != second for first, second in pairs)
    assert sample_pairs(PLACES, 200, 3) == pairs
    assert sample_pairs(PLACES, 200, 4) != pairs
    assert len(sample_pairs(["a", "b", "c"], 100, 0)) == 3
    with pytest.raises(ConfigError, match="1 different texts, of which no pair"):
        sample_pairs(["a", "a"], 5, 0)


def test_choices_are_asked_for_in_both_orders() -> None:
    asking = Asking("Which is better?", "", "logits")
    (one, two) = asking.annotate([("place 1", "place 2"), ("place 9", "place 3")], chooser())
    assert (one.choices, one.label) == ((2, 2), 1.0)
    assert (two.choices, two.label) == ((1, 1), 0.0)
    (swapped,) = asking.annotate([("place 1", "place 2")], chooser(places=True))
    assert (swapped.choices, swapped.label, swapped.is_swapped) == ((2, 1), 0.5, True)


@pytest.mark.parametrize(
    ("answers", "choices", "label"),
    [
        (("1\nrow 2, column 1", "Situation 2.\n\nSituation 1: row 1"), (1, 1), 0.0),
        (("Situation 1: row 1, column 2 of 4 rows", "row 2 of 4"), (None, None), 0.5),
        (("Both are identical.", "row 1 it is"), (0, None), 0.5),
        (("I take 1.", "Situation 1 is bad, so 2"), (1, 1), 0.0),
        (("neither", "neither of them"), (0, 0), 0.5),
        (("2", "a tie"), (2, 0), 0.5),
        (("no idea", "1"), (None, 2), 0.5),
        (("no idea", "hm"), (None, None), 0.5),
        (("<think>2? neither?</think>\n1", "<think>1\n"), (1, None), 0.5),
        (("**2**", "**Answer:** 1\n\nIt is nearer."), (2, 2), 1.0),
        (("First 1, but my answer is 2, since", "The better situation is 1."), (2, 2), 1.0),
        (("The goal is at row 2", "It stands in column 1."), (None, None), 0.5),
    ],
)
def test_written_choices_are_read(
    answers: tuple[str, str], choices: tuple[int | None, int | None], label: float
) -> None:
    def write(prompt: str, seed: int) -> str:
        first, second = situations(prompt)
        return answers[int(first > second)]

    model = ScriptedModel(lambda text: [0.0], write=write)
    (one,) = Asking("Which is better?", "", "text").annotate([("place 1", "place 2")], model)
    assert (one.choices, one.label) == (choices, label)


def test_rates_are_shares() -> None:
    def write(prompt: str, seed: int) -> str:
        first, second = situations(prompt)
        if {first, second} == {1, 2}:
            return "2"  # whatever stands there
        return {3: "neither", 4: "neither"}.get(first, "what?" if 5 in (first, second) else "1")

    model = ScriptedModel(lambda text: [0.0], write=write)
    pairs = [("place 1", "place 2"), ("place 3", "place 4"), ("place 5", "place 6")]
    result = rates(Asking("Which?", "", "text").annotate(pairs, model))
    assert result == {
        "pairs": 3,
        "tie_rate": 1.0,
        "parse_failure_rate": pytest.approx(2 / 6),
        "swap_bias_rate": pytest.approx(1 / 3),
    }


def test_choices_are_kept_and_never_asked_for_twice(tmp_path: Path) -> None:
    file = tmp_path / "data" / "choices.jsonl"
    pairs, asking = sample_pairs(PLACES, 20, 0), Asking("Which is better?", "", "logits")
    model = chooser()
    first = annotated(pairs, asking, model, file)
    cost = model.cost.texts
    again = annotated([*pairs[:5], ("place 0", "place 39")], asking, model, file)
    assert again[:5] == first[:5]
    assert model.cost.texts - cost == 4  # two orders, two candidates
    assert len(file.read_text().splitlines()) == 21
    row = json.loads(file.read_text().splitlines()[0])
    assert row["prompt"] == asking.digest
    assert row["model"] == "scripted"
    # Another wording is another question.
    annotated(pairs[:1], Asking("Which is worse?", "", "logits"), model, file)
    assert len({annotation.prompt for annotation in read_annotations(file)}) == 2
    file.write_text('{"first": "a"}\n')
    with pytest.raises(ConfigError, match=r"line 1 of .*choices.jsonl is no annotation"):
        read_annotations(file)


def test_the_fit_orders_what_it_never_saw() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(80, 6)).astype(np.float32)
    truth = features @ rng.normal(size=6)
    pairs = np.array([rng.choice(80, 2, replace=False) for _ in range(400)])
    labels = (truth[pairs[:, 1]] > truth[pairs[:, 0]]).astype(np.float64)
    result = fit(features, pairs, labels, hidden=32, epochs=60, seed=0)
    assert result.accuracy > 0.85
    assert result.train_accuracy > 0.9
    noise = fit(
        features, pairs, rng.integers(0, 2, 400).astype(float), hidden=32, epochs=60, seed=0
    )
    assert noise.accuracy < 0.7
    again = fit(features, pairs, labels, hidden=32, epochs=60, seed=0)
    np.testing.assert_array_equal(again.network["0.weight"], result.network["0.weight"])


def test_the_fitted_difference_is_the_log_odds() -> None:
    # One pair, preferred in three of four annotations: sigmoid(r2 - r1) must be 3/4.
    features = np.array([[0.0], [1.0]], np.float32)
    pairs = np.array([[0, 1]] * 400)
    labels = np.array([1.0, 1.0, 1.0, 0.0] * 100)
    network = fit(features, pairs, labels, hidden=0, epochs=1000, seed=0).network
    low, high = evaluate(network, features)
    assert high - low == pytest.approx(np.log(3), abs=0.25)


def test_a_tie_pulls_together() -> None:
    features = np.array([[0.0], [1.0]], np.float32)
    network = fit(
        features, np.array([[0, 1]] * 20), np.full(20, 0.5), hidden=0, epochs=2000, seed=0
    ).network
    low, high = evaluate(network, features)
    assert high == pytest.approx(low, abs=0.05)
    assert np.isnan(pair_accuracy(np.array([0.0, 1.0]), np.array([[0, 1]]), np.array([0.5])))


def test_prepared_rewards_are_normalised_cut_and_restored(tmp_path: Path) -> None:
    settings = Preferences("Which is better?", pairs=300, epochs=150)
    reward, result = prepare(settings, chooser(), tmp_path)
    assert result["pair_accuracy"] > 0.9
    assert result["swap_bias_rate"] == result["tie_rate"] == result["parse_failure_rate"] == 0
    assert (result["texts"], result["pairs"]) == (40, 300)
    assert (tmp_path / "annotations-liked.jsonl").is_file()
    values = reward(PLACES, model=chooser())
    assert (values[:18] == 0).all()
    assert (np.diff(values[22:]) > 0).all()
    uncut, _ = prepare(Preferences("Which is better?", pairs=300, epochs=150, quantile=None),
                       chooser(), tmp_path)  # fmt: skip
    raw = uncut(PLACES, model=chooser())
    assert raw.mean() == pytest.approx(0, abs=1e-6)
    assert raw.std() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(values[22:], raw[22:], rtol=1e-5)
    restored = settings.restored(reward.state())
    np.testing.assert_array_equal(restored(PLACES, model=chooser()), values)
    with pytest.raises(RewardError, match="before they were fitted"):
        settings(PLACES, model=chooser())


def leaning(gain: float) -> ScriptedModel:
    """A model that likes the place named second much, and the greater number a little."""

    def log_probs(prompt: str, candidate: str) -> list[float]:
        first, second = situations(prompt)
        worth = {" 1": gain * first / 40, " 2": 1.0 + gain * second / 40}
        return [worth[candidate] - 4.0]

    def features(text: str) -> list[float]:
        return [number(text) / 40, (number(text) / 40) ** 2, 1.0]

    return ScriptedModel(features, hidden_size=3, log_probs=log_probs)


def test_mean_odds_of_both_orders_are_free_of_the_place(tmp_path: Path) -> None:
    asking = Asking("Which is better?", "", "odds")
    pairs = [("place 1", "place 2"), ("place 9", "place 3")]
    one, two = asking.annotate(pairs, leaning(0.5))
    assert (one.choices, one.label, one.is_swapped) == ((2, 1), 1.0, True)
    assert (two.choices, two.label, two.is_swapped) == ((2, 1), 0.0, True)
    assert {item.label for item in asking.annotate(pairs, leaning(0.0))} == {0.5}
    learnt, result = prepare(Preferences("?", pairs=100, by="odds"), leaning(0.5), tmp_path)
    assert (result["swap_bias_rate"], result["tie_rate"]) == (1.0, 0.0)
    assert result["pair_accuracy"] > 0.9
    low, high = learnt(["place 3", "place 39"], model=leaning(0.5))
    assert high > low


def test_a_model_that_chooses_by_the_place_teaches_nothing(tmp_path: Path) -> None:
    settings = Preferences("Which is better?", pairs=100, epochs=20)
    _, result = prepare(settings, chooser(places=True), tmp_path)
    assert result["swap_bias_rate"] == result["tie_rate"] == 1.0
    assert result["pair_accuracy"] is None
