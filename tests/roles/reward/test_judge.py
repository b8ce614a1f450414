from __future__ import annotations

import numpy as np
import pytest

from dragoman.roles.reward.judge import EMPTY, Judge
from dragoman.testing import ScriptedModel

GOODNESS = {"awful": -2.0, "middling": 0.0, "fine": 2.0}


def judge_model(
    *, answer_bias: float = 0.0, order_bias: float = 0.0, place_bias: float = 0.0
) -> ScriptedModel:
    """A model with an opinion, and with biases of known size, in logits of "yes" over "no"."""

    def log_probs(prompt: str, candidate: str) -> list[float]:
        logit = answer_bias
        logit += sum(value for word, value in GOODNESS.items() if f"Observation: {word}" in prompt)
        # The later of two offered answers is liked better.
        logit += order_bias if "(no or yes)" in prompt else -order_bias
        if prompt.index("Observation:") > prompt.index("Question:"):
            logit += place_bias
        # One log-prob each, of a proper distribution.
        yes = 1 / (1 + np.exp(-logit))
        return [float(np.log({" yes": yes, " no": 1 - yes}[candidate]))]

    return ScriptedModel(lambda text: [0.0], log_probs=log_probs)


def sigmoid(logit: float) -> float:
    return 1 / (1 + np.exp(-logit))


TEXTS = list(GOODNESS)
RIGHT = [sigmoid(value) for value in GOODNESS.values()]


def test_calibration_takes_off_what_is_answered_anyway() -> None:
    biased = judge_model(answer_bias=3.0)
    raw = Judge("Is it fine?", calibrated=False)(TEXTS, model=biased)
    np.testing.assert_allclose(raw, [sigmoid(3.0 + v) for v in GOODNESS.values()], rtol=1e-5)
    assert min(raw) > 0.5
    np.testing.assert_allclose(Judge("Is it fine?")(TEXTS, model=biased), RIGHT, rtol=1e-5)


def test_uncalibrated_orders_are_averaged() -> None:
    biased = judge_model(order_bias=1.5)
    both = Judge("Is it fine?", calibrated=False)(["middling"], model=biased)
    np.testing.assert_allclose(both, [0.5], atol=1e-6)
    one = Judge("Is it fine?", calibrated=False, both_orders=False)(["middling"], model=biased)
    np.testing.assert_allclose(one, [sigmoid(1.5)], rtol=1e-5)


def test_biases_are_measured() -> None:
    judge = Judge("Is it fine?", calibrated=False)
    result = judge.biases(TEXTS, model=judge_model(order_bias=2.5))
    gaps = [sigmoid(v + 2.5) - sigmoid(v - 2.5) for v in GOODNESS.values()]
    assert result["order_gap"] == pytest.approx(np.mean(gaps), rel=1e-4)
    assert result["order_flips"] == 1.0
    assert result["position_gap"] == result["position_flips"] == 0.0
    moved = judge.biases(TEXTS, model=judge_model(place_bias=0.7))
    gaps = [sigmoid(v + 0.7) - sigmoid(v) for v in GOODNESS.values()]
    assert moved["position_gap"] == pytest.approx(np.mean(gaps), rel=1e-4)
    assert moved["order_gap"] == 0.0
    assert moved["prior"] == pytest.approx({"yes": 0.5, "no": 0.5})
    assert judge.biases(TEXTS, model=judge_model(answer_bias=2.0))["prior"]["yes"] == (
        pytest.approx(sigmoid(2.0), rel=1e-4)
    )


def test_a_scale_is_worth_its_mean() -> None:
    probabilities = {" 0": 0.2, " 1": 0.3, " 2": 0.5}
    model = ScriptedModel(
        lambda text: [0.0], log_probs=lambda prompt, answer: [np.log(probabilities[answer])]
    )
    judge = Judge("How fine is it?", answers=("0", "1", "2"), calibrated=False)
    np.testing.assert_allclose(judge(["x"], model=model), [0.3 * 0.5 + 0.5], rtol=1e-6)
    # Calibrated, a model that says the same of everything says nothing.
    calibrated = Judge("How fine is it?", answers=("0", "1", "2"))
    np.testing.assert_allclose(calibrated(["x", *EMPTY], model=model), 0.5, rtol=1e-6)


def test_a_longer_answer_is_not_liked_less_for_its_length() -> None:
    model = ScriptedModel(
        lambda text: [0.0], log_probs=lambda prompt, answer: [-1.0] * len(answer.split())
    )
    judge = Judge("Where is it?", answers=("far away from it", "near"))
    np.testing.assert_allclose(judge(["x"], model=model), [0.5], atol=1e-6)
