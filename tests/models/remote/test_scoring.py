"""Scoring by a server equals scoring by the same model on this machine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from dragoman.errors import BudgetError, ConfigError, ModelError
from dragoman.models.cache import CachedModel
from dragoman.models.remote import Budget, Connection, RemoteModel, ServerFeatures
from dragoman.models.score import score
from dragoman.models.torch_model import TorchModel
from tests.models import tiny
from tests.models.remote.stub_server import StubServer, usage, without

QUICK = Connection(timeout=30, retries=1, backoff=0)
PROMPTS = [
    "the pole leans 3.2 degrees to the ",
    "the pole leans 3.2 degrees to the",
    "go ",
    "one",
    "a",
]
CANDIDATES = [
    ["left", "right"],
    [" left", " right", " left side"],
    ["left", "one"],
    [" two", "s"],
    ["nother one two"],
]


class Scorer:
    """The completions endpoint of a server with a tiny model, in OpenAI's and vLLM's manner."""

    def __init__(self, architecture: str) -> None:
        self.model, self.tokenizer = tiny.make_parts(architecture)
        self.local = TorchModel(self.model, self.tokenizer, name="local")

    def __call__(self, path: str, body: Any) -> Any:
        assert path == "/v1/completions"
        assert body["max_tokens"] == 1
        ids = self.tokenizer(body["prompt"])["input_ids"]
        with torch.inference_mode():
            logits = self.model(torch.tensor([ids])).logits[0].log_softmax(-1)
        result = [None, *(float(logits[i, token]) for i, token in enumerate(ids[1:]))][: len(ids)]
        written = int(logits[-1].argmax())
        choice = {"index": 0, "text": "w", "finish_reason": "length"}
        if body.get("echo"):
            every = [*ids, written]
            choice["text"] = body["prompt"] + "w"
            choice["logprobs"] = {
                "tokens": self.tokenizer.convert_ids_to_tokens(every),
                "token_logprobs": [*result, float(logits[-1, written])],
            }
        if "prompt_logprobs" in body:
            choice["prompt_token_ids"] = ids
            choice["prompt_logprobs"] = [
                None if one is None else {str(token): {"logprob": one, "rank": 1}}
                for token, one in zip(ids, result, strict=True)
            ]
        return {"choices": [choice], "usage": usage(len(ids), 1)}


@pytest.fixture(scope="module", params=["llama", "gemma"])
def scorer(request: pytest.FixtureRequest) -> Scorer:
    """Byte pairs without a start token, and Unigram with one."""
    return Scorer(request.param)


@pytest.mark.parametrize("kind", ["echo", "vllm"])
def test_log_probs_equal_those_of_the_local_model(scorer: Scorer, kind: Any) -> None:
    # Without a start token, "a" joins what follows, and nothing comes before the first token.
    prompts, candidates = PROMPTS, CANDIDATES
    offers = ServerFeatures(prompt_log_probs=kind)
    with (
        StubServer(scorer) as stub,
        RemoteModel("tiny", stub.url, connection=QUICK, offers=offers) as model,
    ):
        if scorer.tokenizer("a")["input_ids"][0] != scorer.tokenizer.bos_token_id:
            prompts, candidates = prompts[:-1], candidates[:-1]
        result = model.token_log_probs(prompts, candidates)
        expected = scorer.local.token_log_probs(prompts, candidates)
        for own, wanted in zip(result, expected, strict=True):
            assert [item.dtype for item in own] == [np.float32] * len(wanted)
            assert [len(item) for item in own] == [len(item) for item in wanted]
            for one, other in zip(own, wanted, strict=True):
                np.testing.assert_allclose(one, other, atol=1e-4)
        assert model.cost.texts == sum(map(len, candidates))
        assert model.spend.completion_tokens == len(stub.bodies)
        scores = score(model, prompts, candidates, normalisation="token")
        for one, other in zip(
            scores, score(scorer.local, prompts, candidates, normalisation="token"), strict=True
        ):
            np.testing.assert_allclose(one, other, atol=1e-4)


def test_each_distinct_text_is_asked_once(scorer: Scorer) -> None:
    offers = ServerFeatures(prompt_log_probs="echo")
    with (
        StubServer(scorer) as stub,
        RemoteModel("tiny", stub.url, connection=QUICK, offers=offers) as model,
    ):
        cached = CachedModel(model)
        for _ in range(2):
            cached.token_log_probs(["one", "one", "two"], [[" a", " b"], [" b"], []])
        assert sorted(body["prompt"] for body in stub.bodies) == ["one", "one a", "one b"]


def test_a_token_without_anything_before_it_is_an_error() -> None:
    offers = ServerFeatures(prompt_log_probs="echo")
    with (
        StubServer(Scorer("llama")) as stub,
        RemoteModel("tiny", stub.url, connection=QUICK, offers=offers) as model,
        pytest.raises(ModelError, match="no log-prob for the first token of 'o'"),
    ):
        model.token_log_probs(["o"], [["ne"]])


def ignores_echo(path: str, body: Any) -> Any:
    """Answer only with what was written."""
    log_probs = {"tokens": ["w"], "token_logprobs": [0.0]}
    choice = {"index": 0, "text": "w", "finish_reason": "length", "logprobs": log_probs}
    return {"choices": [choice], "usage": usage(1, 1)}


def answers_like_llama_cpp(path: str, body: Any) -> Any:
    """Answer only with what was written, and as if to a chat."""
    log_probs = {"content": [{"token": "w", "logprob": 0.0}]}
    choice = {"index": 0, "text": "w", "finish_reason": "length", "logprobs": log_probs}
    return {"choices": [choice], "usage": usage(1, 1)}


def breaks(scorer: Scorer, kind: str) -> list[Any]:
    """Return answers whose log-probs are not those of the prompt."""

    def changed(**changes: Any) -> Any:
        def answer(path: str, body: Any) -> Any:
            good = scorer(path, body)
            choice = good["choices"][0]
            new = {name: change(choice[name]) for name, change in changes.items()}
            return {**good, "choices": [{**choice, **new}]}

        return answer

    def missing(name: str) -> Any:
        def answer(path: str, body: Any) -> Any:
            good = scorer(path, body)
            return {**good, "choices": [without(good["choices"][0], name)]}

        return answer

    if kind == "vllm":
        return [
            ignores_echo,
            answers_like_llama_cpp,
            missing("prompt_logprobs"),
            missing("prompt_token_ids"),
            changed(prompt_logprobs=lambda rows: rows[:-1]),
            changed(prompt_logprobs=lambda rows: [*rows[:-1], None]),
            changed(prompt_logprobs=lambda rows: [*rows[:-1], {"99999": {"logprob": -1.0}}]),
        ]
    return [
        ignores_echo,
        answers_like_llama_cpp,
        missing("logprobs"),
        changed(text=lambda text: text[1:]),
        changed(logprobs=lambda rows: {**rows, "tokens": rows["tokens"][:1]}),
        changed(
            logprobs=lambda rows: {**rows, "token_logprobs": [None] * len(rows["token_logprobs"])}
        ),
    ]


@pytest.mark.parametrize("kind", ["echo", "vllm"])
def test_log_probs_that_are_not_the_prompts_are_an_error(kind: Any) -> None:
    scorer = Scorer("llama")
    offers = ServerFeatures(prompt_log_probs=kind)
    with (
        StubServer() as stub,
        RemoteModel("tiny", stub.url, connection=QUICK, offers=offers) as model,
    ):
        for broken in breaks(scorer, kind):
            stub.answer = broken
            with pytest.raises(ModelError, match=r"did not give|without its log-prob"):
                model.token_log_probs(["one two"], [[" three"]])


def test_a_claim_that_is_wrong_is_found_at_once() -> None:
    offers = ServerFeatures(prompt_log_probs="echo")
    with (
        StubServer(answers_like_llama_cpp) as stub,
        RemoteModel("tiny", stub.url, connection=Connection(concurrency=1), offers=offers) as model,
    ):
        with pytest.raises(ModelError, match="was asked once"):
            model.token_log_probs(["one two"], [[" three"]])
        assert len(stub.bodies) == 1


def test_arguments_are_checked_before_anything_is_asked() -> None:
    offers = ServerFeatures(prompt_log_probs="echo")
    with (
        StubServer() as stub,
        RemoteModel("tiny", stub.url, connection=QUICK, offers=offers) as model,
    ):
        with pytest.raises(ConfigError, match="1 prompts and 2 lists"):
            model.token_log_probs(["a"], [["b"], ["c"]])
        with pytest.raises(ConfigError, match="a candidate is empty"):
            model.token_log_probs(["a"], [["b", ""]])
        assert model.token_log_probs([], []) == []
        assert model.token_log_probs(["a"], [[]]) == [[]]
        assert stub.bodies == []


def test_scoring_keeps_to_the_budget() -> None:
    offers = ServerFeatures(prompt_log_probs="echo")
    with (
        StubServer() as stub,
        RemoteModel(
            "tiny", stub.url, connection=QUICK, offers=offers, budget=Budget(tokens=100)
        ) as model,
        pytest.raises(BudgetError),
    ):
        model.token_log_probs(["a"], [["b"]])
    assert stub.bodies == []
