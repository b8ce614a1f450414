"""What a server may not do to the one that asks it: flood, overcharge, or see its key shown."""

from __future__ import annotations

import gzip
import json
import os
import tracemalloc
from typing import Any

import pytest

from dragoman.errors import BudgetError, ConfigError, ModelError
from dragoman.generation import Json, Sampling
from dragoman.models.remote import Budget, Connection, RemoteModel, ServerFeatures
from dragoman.models.remote.answers import EXCERPT
from tests.models.remote.stub_server import GOOD, KEY, StubServer, chat_answer, usage

pytestmark = pytest.mark.usefixtures("api_key")
QUICK = Connection(timeout=10, retries=1, backoff=0)
ONCE = Connection(timeout=1.5, retries=0)


def said(stub: StubServer, answer: Any, connection: Connection = QUICK, **options: Any) -> str:
    """Return the error of one question that is answered so."""
    stub.answer = lambda path, body: answer
    with (
        RemoteModel("tiny", stub.url, connection=connection, **options) as model,
        pytest.raises(ModelError) as caught,
    ):
        model.generate(["a"])
    assert len(str(caught.value)) < 900
    return str(caught.value)


# Sizes.


def test_an_answer_is_read_no_further_than_it_can_be_needed(stub: StubServer) -> None:
    tracemalloc.start()
    try:
        assert "answered with more than" in said(stub, b'"' + b"x" * 50_000_000)
        # The stub holds the 50 MB; beside them little is read of either attempt.
        assert tracemalloc.get_traced_memory()[1] < 200_000_000
    finally:
        tracemalloc.stop()


def test_an_answer_of_an_error_is_not_read_for_ever_either(stub: StubServer) -> None:
    stub.faults = ["flood"]
    assert "answered with more than" in said(stub, GOOD, ONCE)


def test_the_room_for_an_answer_grows_with_what_is_asked(stub: StubServer) -> None:
    text = "word " * 150_000
    assert "answered with more than" in said(stub, chat_answer(text))
    stub.answer = lambda path, body: chat_answer(text)
    with RemoteModel("tiny", stub.url, connection=QUICK) as model:
        (one,) = model.generate(["a"], sampling=Sampling(max_tokens=150_000))
        assert one.text == text
        stub.answer = lambda path, body: {
            "data": [
                {"index": i, "embedding": [0.12345678901234567] * 16_384}
                for i in range(len(body["input"]))
            ],
            "usage": usage(64, 0),
        }
        assert model.encode([f"text {i}" for i in range(64)]).shape == (64, 16_384)


def test_nothing_is_inflated(stub: StubServer) -> None:
    bomb = gzip.compress(b" " * 20_000_000 + json.dumps(GOOD).encode())
    assert len(bomb) < 25_000
    stub.headers = {"Content_Encoding": "gzip"}
    assert "compressed its answer ('gzip'), though it was asked not to" in said(stub, bomb)


@pytest.mark.parametrize("depth", [500, 900, 990, 5_000, 100_000])
def test_deep_json_is_no_answer(stub: StubServer, depth: int) -> None:
    said(stub, b"[" * depth + b"]" * depth)
    said(stub, b'{"usage": ' * depth + b"1" + b"}" * depth)
    deep = "[" * depth + "]" * depth
    said(stub, f'{{"usage": {json.dumps(usage(1, 1))}, "choices": {deep}}}'.encode())


def test_deep_json_fits_no_schema_that_goes_as_deep(stub: StubServer) -> None:
    stub.answer = lambda path, body: chat_answer("[" * 900 + "]" * 900)
    schema = Json('{"type": "array", "items": {"$ref": "#"}}')
    with (
        RemoteModel("tiny", stub.url, connection=QUICK) as model,
        pytest.raises(ModelError, match="does not fit"),
    ):
        model.generate(["a"], constraint=schema)


# Books.


@pytest.mark.parametrize(
    "counted",
    [
        {"prompt_tokens": -1},
        {"prompt_tokens": 10**12},
        {"prompt_tokens": 10, "completion_tokens": -4},
        {"prompt_tokens": 10, "completion_tokens": 10**12},
        {"prompt_tokens": 10, "completion_tokens": 10**4000},
        {"prompt_tokens": "10"},
        {"prompt_tokens": 1e400},
        {"prompt_tokens": 10.5},
        {"prompt_tokens": True},
        {"prompt_tokens": None},
        {},
        [],
        "ten",
    ],
    ids=lambda counted: str(counted)[:50],
)
def test_absurd_usage_is_refused_and_charged_as_the_most_it_can_be(
    stub: StubServer, counted: Any
) -> None:
    content = json.dumps({**GOOD, "usage": counted}).encode()
    with RemoteModel("tiny", stub.url, connection=ONCE) as model:
        stub.answer = lambda path, body: content
        with pytest.raises(ModelError, match=r"usage|says that it has|not JSON"):
            model.generate(["a"], sampling=Sampling(max_tokens=7))
        spend = model.spend
    assert (spend.tokens, spend.uncounted) == (0, 1)
    assert (spend.assumed_prompt_tokens, spend.assumed_completion_tokens) == (257, 7)


def test_more_tokens_than_were_asked_for_are_refused(stub: StubServer) -> None:
    with RemoteModel("tiny", stub.url, connection=QUICK) as model:
        # An end token or two may be counted.
        stub.answer = lambda path, body: chat_answer("word " * 20)
        model.generate(["a"], sampling=Sampling(max_tokens=18))
        stub.answer = lambda path, body: chat_answer("word " * 100)
        with pytest.raises(ModelError, match="written 100 tokens, and was asked for at most 18"):
            model.generate(["b"], sampling=Sampling(max_tokens=18))
    assert len(stub.bodies) == 2


@pytest.mark.parametrize("fault", ["stall", "drip", "cut", "reset", "not JSON", "no usage"])
def test_what_may_have_been_billed_is_charged(stub: StubServer, fault: str) -> None:
    stub.faults = [fault]
    # Room for one question of up to 257 and 64 tokens, and a bit.
    budget = Budget(tokens=400, money=1.0, prompt_price=1.0)
    with RemoteModel("tiny", stub.url, connection=ONCE, budget=budget) as model:
        with pytest.raises(ModelError):
            model.generate(["a"])
        assert model.spend.assumed_prompt_tokens == 257
        with pytest.raises(BudgetError, match="up to 321 tokens in requests that were not answer"):
            model.generate(["a"])
    assert len(stub.bodies) == 1


@pytest.mark.parametrize("fault", ["status 500", "status 429", "status 401", "redirection"])
def test_what_was_answered_by_an_error_is_not_charged(stub: StubServer, fault: str) -> None:
    stub.faults = [fault]
    with RemoteModel("tiny", stub.url, connection=ONCE, budget=Budget(tokens=400)) as model:
        with pytest.raises(ModelError):
            model.generate(["a"])
        assert model.generate(["a"])[0].text == "A"
        assert (model.spend.uncounted, model.spend.assumed_prompt_tokens) == (1, 0)


def test_what_was_never_sent_is_not_charged() -> None:
    with StubServer() as stub:
        url = stub.url
    slow = Connection(retries=0, tokens_per_minute=10)
    for connection in (ONCE, slow):
        with RemoteModel("tiny", url, connection=connection) as model:
            with pytest.raises(ModelError):
                model.generate(["a"])
            assert model.spend.assumed_prompt_tokens == 0


@pytest.mark.parametrize("log_prob", [5.0, -1e300, 1e300])
def test_log_probs_that_are_none_are_refused(stub: StubServer, log_prob: float) -> None:
    choice = {**GOOD["choices"][0], "logprobs": {"content": [{"logprob": log_prob}]}}
    error = said(stub, {**GOOD, "choices": [choice]}, offers=ServerFeatures(log_probs=True))
    assert "logprob" in error


# The key.


@pytest.mark.parametrize("key", ["sk-\u2026abc", "sk-a\nb", "sk-\x7f", "ключ", "sk-\udce9"])
def test_a_key_that_no_header_carries_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(ConfigError, match="is no printable ASCII") as caught:
        RemoteModel("tiny", "http://127.0.0.1:1/v1")
    assert key not in str(caught.value)


@pytest.mark.parametrize("key", [KEY, 'quo"ted\\key', "it's-a-key"])
@pytest.mark.parametrize("before", [EXCERPT - 15, EXCERPT - 8, EXCERPT - 1])
def test_no_part_of_a_key_is_shown_where_a_message_is_cut(
    stub: StubServer, monkeypatch: pytest.MonkeyPatch, key: str, before: int
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with RemoteModel("tiny", stub.url, connection=ONCE) as model:
        for content in (
            ("x" * before + key + "y" * 50).encode(),
            json.dumps({"error": "x" * before + key}).encode(),
            json.dumps(chat_answer(None, refusal="x" * before + key)).encode(),
        ):
            stub.answer = lambda path, body, content=content: content
            with pytest.raises(ModelError) as caught:
                model.generate(["a"])
            assert "xxx" in str(caught.value)
            for length in range(3, len(key)):
                for part in (key[:length], repr(key)[1:-1][:length]):
                    assert f"x{part}" not in str(caught.value)


def test_no_repr_holds_the_key(stub: StubServer) -> None:
    with RemoteModel("tiny", stub.url) as model:
        parts = [model, model._server, model._server._client, model._server.account]
        parts += [Connection(), model.spend, model.cost]
        assert KEY not in " ".join(map(repr, parts))


def test_a_stand_in_for_a_key_is_no_secret(
    stub: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    assert "the no-key sign" in said(stub, b"the no-key sign")
    assert "OPENAI_API_KEY" not in os.environ


def test_a_text_that_holds_the_key_is_not_changed(
    stub: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Servers on this machine are often given a key such as this.
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with RemoteModel("tiny", stub.url) as model:
        stub.answer = lambda path, body: chat_answer("none of them")
        assert model.generate(["a"])[0].text == "none of them"


# Where it is.


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://",
        "https://[::1/v1",
        "http://127.0.0.1:99999/v1",
        "http://127.0.0.1:port/v1",
        "http://127.0.0.1:0/v1",
        "https://exa\nmple.com/v1",
        "https://exa\x00mple.com/v1",
        "https://exam ple.com/v1",
        "https://xn--\u2026.com/v1",
        "https://example.com/" + "x" * 100_000,
        "https://me:sk-in-url@[::1/v1",
    ],
    ids=lambda url: repr(url)[:40],
)
def test_malformed_urls_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="is not a URL of a server") as caught:
        RemoteModel("tiny", url)
    assert "sk-in-url" not in str(caught.value)
    assert len(str(caught.value)) < 400
