"""Answers of a server, right and spoilt: what they say, or one error of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from dragoman.errors import DragomanError
from dragoman.models.remote import Connection, RemoteModel, ServerFeatures
from tests.fuzz.fuzzing import edited, fuzzed, mutated, outcome
from tests.models.remote.stub_server import StubServer, chat_answer, usage

SCORED = {"text": "a b", "finish_reason": "length", "index": 0}
ECHO = {"tokens": ["a", " b", "w"], "token_logprobs": [None, -1.0, -2.0]}
GOOD = {
    "chat": chat_answer("left", refusal=None),
    "echo": {"choices": [{**SCORED, "logprobs": ECHO}], "usage": usage(2, 1)},
    "embedding": {"data": [{"index": 0, "embedding": [1.0, 2.0]}], "usage": usage(2, 0)},
}


@pytest.fixture(scope="module")
def stub() -> Iterator[StubServer]:
    with StubServer() as server:
        yield server


@pytest.fixture(scope="module")
def model(stub: StubServer) -> Iterator[RemoteModel]:
    offers = ServerFeatures(prompt_log_probs="echo")
    with RemoteModel("m", stub.url, connection=Connection(retries=0), offers=offers) as made:
        yield made


def spoilt(kind: str) -> st.SearchStrategy[tuple[str, bytes]]:
    content = json.dumps(GOOD[kind]).encode()
    other = edited(GOOD[kind]).map(lambda answer: json.dumps(answer).encode())
    return st.tuples(st.just(kind), st.one_of(mutated(content), other))


@fuzzed(answer=st.sampled_from(sorted(GOOD)).flatmap(spoilt))
def test_answers(answer: tuple[str, bytes], stub: StubServer, model: RemoteModel) -> None:
    kind, content = answer
    stub.answer = lambda path, body: content
    asks: dict[str, Any] = {
        "chat": lambda: model.generate(["a"]),
        "echo": lambda: model.token_log_probs(["a"], [[" b"]]),
        "embedding": lambda: model.encode(["a"]),
    }
    model._hidden_size = None
    result = outcome(asks[kind])
    if isinstance(result, DragomanError):
        return
    if kind == "chat":
        assert result[0].text.encode() is not None
    elif kind == "echo":
        assert np.isfinite(result[0][0]).all()
    else:
        assert np.isfinite(result).all()
