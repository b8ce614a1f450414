from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dragoman.engines.train import train
from dragoman.errors import ModelError
from dragoman.experiment import Algorithm, Experiment
from dragoman.generation import Generation
from dragoman.models.cache import CachedModel
from dragoman.models.store import Store
from dragoman.roles.observe.settings import Observe
from dragoman.run import Run
from dragoman.testing import ScriptedModel

TEXTS = ["a", "bb", "ccc"]

ENCODED: dict[str, tuple[Any, str]] = {
    # What encode returns for three texts of a model of width 2, and what is said of it.
    "too few": (np.zeros((2, 2)), "returned shape (2, 2) for 3 texts"),
    "too many": (np.zeros((4, 2)), "returned shape (4, 2) for 3 texts"),
    "too narrow": (np.zeros((3, 1)), "ask for (3, 2)"),
    "too wide": (np.zeros((3, 4)), "ask for (3, 2)"),
    "no second axis": (np.zeros(3), "returned shape (3,)"),
    "a third axis": (np.zeros((3, 1, 2)), "returned shape (3, 1, 2)"),
    "ragged": ([[1.0, 2.0], [1.0], [1.0, 2.0]], "returned what is no array"),
    "text": ([["1", "2"]] * 3, "which are no numbers"),
    "none": (None, "returned None, which are no numbers"),
    "complex": (np.zeros((3, 2), complex), "which are no numbers"),
    "nan": (np.array([[0, 0], [0, np.nan], [0, 0]]), "feature 1 of the model 'mine' is nan"),
    "inf": (np.array([[0, 0], [0, 0], [-np.inf, 0]]), "is -inf for the text 'ccc'"),
    "beyond float32": (np.full((3, 2), 1e39), "is inf for the text 'a'"),
}
SCORED: dict[str, tuple[Any, str]] = {
    # For one prompt with two candidates.
    "too few prompts": ([], "returned 0 answers for 1 prompts"),
    "too few candidates": ([[np.zeros(1)]], "returned 1 answers for 2 candidates"),
    "no list": (3.0, "returned 3.0, which is no list"),
    "sums": ([[-1.0, -2.0]], "are -1.0 for 'x' after 'p'"),
    "text": ([["-1", "-2"]], "which are no numbers"),
    "nan": ([[np.zeros(2), np.array([-1.0, np.nan])]], "are [-1.0, nan] for 'y y' after 'p'"),
    "minus inf": ([[np.array([-np.inf]), np.zeros(1)]], "are [-inf] for 'x' after 'p'"),
}
WRITTEN: dict[str, tuple[Any, str]] = {
    # For one prompt.
    "too many": ([Generation("a", np.zeros(1, np.float32), "stop")] * 2, "2 answers for 1 prompts"),
    "plain text": (["a"], "returned 'a', which is no Generation"),
    "one text": ("a", "returned 'a', which is no list"),
    "none": (None, "returned None, which is no list"),
    "no text": ([Generation(None, np.zeros(1, np.float32), "stop")], "no Generation with a text"),
}


def answering(method: str, answer: Any) -> ScriptedModel:
    model = ScriptedModel(lambda text: [len(text), 1.0])
    model.name = "mine"
    setattr(model, method, lambda *arguments, **named: answer)
    return model


def assert_refused(ask: Callable[[CachedModel], Any], model: ScriptedModel, said: str) -> None:
    cached = CachedModel(model)
    for _ in range(2):  # nor is it remembered
        with pytest.raises(ModelError) as error:
            ask(cached)
        assert "'mine'" in error.value.problem
        assert said in error.value.problem


@pytest.mark.parametrize("what", ENCODED)
def test_wrong_features_are_refused(what: str) -> None:
    answer, said = ENCODED[what]
    assert_refused(lambda model: model.encode(TEXTS), answering("encode", answer), said)


@pytest.mark.parametrize("what", SCORED)
def test_wrong_log_probs_are_refused(what: str) -> None:
    answer, said = SCORED[what]
    model = answering("token_log_probs", answer)
    assert_refused(lambda model: model.token_log_probs(["p"], [["x", "y y"]]), model, said)


@pytest.mark.parametrize("what", WRITTEN)
def test_wrong_texts_are_refused(what: str) -> None:
    answer, said = WRITTEN[what]
    assert_refused(lambda model: model.generate(["p"]), answering("generate", answer), said)


@pytest.mark.parametrize(
    "answer", [np.ones((3, 2)), [[1, 1]] * 3, np.ones((3, 2), np.float16)], ids=type
)
def test_numbers_of_every_kind_become_float32(answer: Any) -> None:
    result = CachedModel(answering("encode", answer)).encode(TEXTS)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, np.ones((3, 2)))


def test_nothing_wrong_reaches_the_disk(tmp_path: Path) -> None:
    wrong, right = answering("encode", np.full((3, 2), np.nan)), ScriptedModel(lambda text: [1, 2])
    right.fingerprint = wrong.fingerprint
    with pytest.raises(ModelError):
        CachedModel(wrong, store=Store(tmp_path)).encode(TEXTS)
    result = CachedModel(right, store=Store(tmp_path)).encode(TEXTS)
    np.testing.assert_array_equal(result, [[1, 2]] * 3)


def test_a_training_says_in_which_step(tmp_path: Path) -> None:
    asked: list[str] = []

    def answer(text: str) -> list[float]:
        asked.append(text)
        return [0.0, np.nan if len(asked) > 21 else 1.0]

    experiment = Experiment(
        env="CartPole-v1",
        steps=64,
        num_envs=2,
        observe=Observe(standardise=False),  # nothing is read before the training
        algorithm=Algorithm("ppo", {"n_steps": 8, "batch_size": 16}),
    )
    with pytest.raises(ModelError, match="feature 1 of the model 'scripted' is nan") as error:
        train(experiment, out=tmp_path / "run", model=ScriptedModel(answer, hidden_size=2))
    # Two texts a step, after the first two.
    assert error.value.__notes__ == ["at step 18 of a training on CartPole-v1"]
    run = Run(tmp_path / "run")
    assert run.status == "failed"
    assert all(np.isfinite(tensor).all() for tensor in run.weights().values())
