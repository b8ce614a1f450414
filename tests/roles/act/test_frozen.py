"""What a frozen model writes, here and behind a server."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dragoman import evaluate_frozen
from dragoman.errors import ConfigError, ModelError
from dragoman.generation import Sampling
from dragoman.models.remote import Connection, RemoteModel, ServerFeatures
from dragoman.roles.act.frozen import FrozenWriter, Written
from dragoman.testing import ScriptedModel
from tests.models.remote.stub_server import StubServer, usage
from tests.writing import experiment

ALPHABET = {"env_settings.length": 2}


def scripted(write: Any) -> ScriptedModel:
    return ScriptedModel(lambda text: [float(len(text))], write=write)


def free(env: str = "Alphabet", **act: Any) -> Any:
    what = experiment(constrain="none", max_tokens=3, **act)
    return what.replaced({**ALPHABET, "env": f"tests.text_tasks:{env}"})


@pytest.mark.parametrize("env", ["Alphabet", "Letters"])
def test_what_is_written_is_done(env: str) -> None:
    def right(prompt: str, seed: int) -> str:
        return "b\nbecause" if "left" in prompt else "x\n"

    assert evaluate_frozen(free(env), 6, model=scripted(right)).returns == [2.0] * 6
    wrong = evaluate_frozen(free(env, invalid="end"), 6, model=scripted(lambda *_: "Nothing"))
    assert (wrong.mean, {episode.length for episode in wrong.episodes}) == (0.0, {1})


def test_equal_prompts_get_texts_of_their_own_where_they_are_drawn() -> None:
    for sampled, most in ((True, 8), (False, 1)):
        seen: list[list[Written]] = []
        model = scripted(lambda prompt, seed: str(seed))
        evaluate_frozen(
            free(invalid="end"), 8, model=model, sampled=sampled, on_written=seen.append
        )
        texts: dict[str, set[str]] = {}
        for own in seen[0]:
            texts.setdefault(own.prompt, set()).add(own.answer.text)
        assert 2 == len(texts) <= sum(map(len, texts.values())) <= most + (not sampled)
        if sampled:
            assert sum(map(len, texts.values())) == most
        assert {own.action for own in seen[0]} == {-1}


def test_a_thought_stands_before_the_question() -> None:
    seen: list[list[Written]] = []

    def think(prompt: str, seed: int) -> str:
        return " hm" if prompt.endswith("Think first:") else "a"

    evaluate_frozen(free(think=4), 2, model=scripted(think), on_written=seen.append)
    (first, _), *_ = seen
    assert first.prompt.endswith("Think first: hm\nso")
    assert first.thought is not None
    assert first.thought.text == " hm"
    assert first.action == 0


@pytest.mark.parametrize("act", [{}, {"constrain": "grammar", "grammar": {"regex": "[a-z]"}}])
def test_what_a_frozen_model_cannot_keep_to_is_refused(act: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="asked for free texts"):
        evaluate_frozen(experiment(**act), model=scripted(lambda *_: "a"))


def test_a_model_that_writes_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="does not write"):
        FrozenWriter(free().act, None, object())
    with pytest.raises(ConfigError, match="no act role"):
        evaluate_frozen("CartPole-v1")


def answering(ids: Any) -> Any:
    def answer(path: str, body: Any) -> Any:
        assert body["return_token_ids"] is True
        assert body["logprobs"] == 1
        log_probs = {"tokens": ["b", "."], "token_logprobs": [-0.5, -0.25]}
        choice = {"text": "b.", "finish_reason": "stop", "index": 0, "logprobs": log_probs}
        return {"choices": [{**choice, **ids}], "usage": usage(5, 2)}

    return answer


def test_ids_and_log_probs_of_a_server_are_kept() -> None:
    offers = ServerFeatures(chat=False, log_probs=True, token_ids=True)
    quick = Connection(timeout=30, retries=0, backoff=0)
    seen: list[list[Written]] = []
    with (
        StubServer(answering({"token_ids": [7, 9]})) as stub,
        RemoteModel("tiny", stub.url, connection=quick, offers=offers) as model,
    ):
        evaluate_frozen(free(), 3, model=model, on_written=seen.append)
    assert {own.answer.tokens for own in seen[0]} == {(7, 9)}
    assert np.allclose(seen[0][0].answer.log_probs, [-0.5, -0.25])
    assert {own.action for own in seen[0]} == {1}
    bodies = [(body["prompt"], body["seed"]) for body in stub.bodies]
    assert len(bodies) == len(set(bodies)) == 2 * 3


@pytest.mark.parametrize("ids", [{}, {"token_ids": [7]}])
def test_ids_that_a_server_does_not_give_are_an_error(ids: Any) -> None:
    offers = ServerFeatures(chat=False, log_probs=True, token_ids=True)
    quick = Connection(timeout=30, retries=0, backoff=0)
    with (
        StubServer(answering(ids)) as stub,
        RemoteModel("tiny", stub.url, connection=quick, offers=offers) as model,
        pytest.raises(ModelError, match="gave no token ids"),
    ):
        model.generate(["a"], sampling=Sampling(max_tokens=2))
