from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dragoman.roles.reward.protocols import Preparation
from dragoman.roles.reward.similarity import (
    GoalReached,
    GoalSimilarity,
    cosines,
    goal_baseline,
    threshold_for,
)
from dragoman.testing import ScriptedModel

PLACES = {
    "goal": [0.0, 2.0, 0.0],
    "start": [3.0, 0.0, 0.0],
    "between": [1.0, 1.0, 0.0],
    "beside": [0.0, 1.0, 1.0],
    "near": [0.1, 1.0, 0.0],
}
TEXTS = list(PLACES)


def model() -> ScriptedModel:
    return ScriptedModel(lambda text: PLACES.get(text, [0.0, 0.0, 1.0]), hidden_size=3)


def unit(text: str) -> np.ndarray:
    return np.array(PLACES[text]) / np.linalg.norm(PLACES[text])


def test_without_a_baseline_it_is_the_cosine() -> None:
    got = GoalSimilarity("goal")(TEXTS, model=model())
    np.testing.assert_allclose(got, [unit("goal") @ unit(text) for text in TEXTS], atol=1e-6)
    same = GoalSimilarity("goal", baseline="start", alpha=0.0)(TEXTS, model=model())
    np.testing.assert_allclose(same, got, atol=1e-6)


def test_the_projection_by_hand() -> None:
    # The line from start (1, 0, 0) to goal (0, 1, 0) has direction (-1, 1, 0) / sqrt(2).
    got = GoalSimilarity("goal", baseline="start")(["start", "beside"], model=model())
    away = np.array([0.0, np.sqrt(0.5), np.sqrt(0.5)]) - np.array([0.0, 1.0, 0.0])
    along = away @ np.array([-1.0, 1.0, 0.0]) / np.sqrt(2)
    np.testing.assert_allclose(got, [1 - 0.5 * 2.0, 1 - 0.5 * along**2], atol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_formula_with_its_matrix(alpha: float) -> None:
    rng = np.random.default_rng(0)
    x, g, b = rng.normal(size=(6, 4)), rng.normal(size=4), rng.normal(size=4)
    line = (g - b)[:, None]
    Pi = alpha * line @ line.T / (line.T @ line) + (1 - alpha) * np.eye(4)
    expected = [1 - 0.5 * np.linalg.norm(Pi @ (row - g)) ** 2 for row in x]
    np.testing.assert_allclose(goal_baseline(x, g, b, alpha), expected)


def test_what_differs_from_the_baseline_in_other_ways_does_not_count() -> None:
    # Both are as far along the line; only one differs from it otherwise.
    g, b = np.array([1.0, 0.0]), np.array([0.0, 0.0])
    straight, aside = goal_baseline(np.array([[0.5, 0.0], [0.5, 7.0]]), g, b, 1.0)
    assert straight == aside


def test_a_goal_pays_once_an_episode() -> None:
    reward = GoalReached(("goal", "start"), threshold=0.9)
    memory = [{}, {}]
    first = reward(["near", "between"], model=model(), memory=memory)
    np.testing.assert_allclose(first, [unit("near") @ unit("goal"), 0.0], atol=1e-6)
    again = reward(["goal", "start"], model=model(), memory=memory)
    np.testing.assert_allclose(again, [0.0, 1.0], atol=1e-6)
    new_episode = reward(["goal", "goal"], model=model(), memory=[{}, memory[1]])
    np.testing.assert_allclose(new_episode, [1.0, 1.0], atol=1e-6)


def test_a_threshold_for_a_share_of_texts() -> None:
    texts = [text for text in TEXTS if text != "goal"]
    threshold = threshold_for(model(), texts, ["goal"], share=0.25)
    assert (cosines(model(), texts, ["goal"]).ravel() > threshold).sum() == 1


def test_preparing_tells_how_far_apart_texts_are() -> None:
    def sample(steps: int) -> list[str]:
        return ["start", "between", "start"]

    preparation = Preparation("near", model(), sample, 0, Path())
    reward, result = GoalSimilarity("goal").prepared(preparation)
    assert reward == GoalSimilarity("goal")
    assert result["texts"] == 2
    assert result["nearest"] == "between"
    assert result["spread"] == pytest.approx(np.std([0.0, np.sqrt(0.5)]), abs=1e-6)
    _, result = GoalReached(("goal",), threshold=0.5).prepared(preparation)
    assert result["passing"] == 0.5
