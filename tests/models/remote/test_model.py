"""A remote model: what it asks, what it makes of answers, and what every fault comes to."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dragoman
from dragoman.errors import BudgetError, ConfigError, ModelError
from dragoman.generation import Choice, Integer, Json, Sampling
from dragoman.models.cache import CachedModel
from dragoman.models.remote import Budget, Connection, RemoteModel, ServerFeatures
from dragoman.models.remote.server import _seconds
from dragoman.types import GeneratingModel, ScoringModel
from tests.models.remote.stub_server import (
    BILLED,
    FINAL,
    KEY,
    SLOW,
    UNBILLED,
    StubServer,
    chat_answer,
    usage,
)

pytestmark = pytest.mark.usefixtures("api_key")
QUICK = Connection(timeout=10, retries=2, backoff=0)
HASTY = Connection(timeout=1.5, retries=1, backoff=0)


@pytest.fixture
def remote(stub: StubServer):
    with RemoteModel("tiny", stub.url, connection=QUICK) as model:
        yield model


def test_scoring_that_is_not_offered_asks_no_server(remote: RemoteModel, stub: StubServer) -> None:
    with pytest.raises(ModelError, match="is not known to give log-probs of prompts"):
        CachedModel(remote).token_log_probs(["a"], [["b"]])
    assert stub.bodies == []


def test_it_keeps_the_protocols(remote: RemoteModel, stub: StubServer) -> None:
    stub.answer = embeddings
    assert isinstance(remote, GeneratingModel)
    assert isinstance(remote, ScoringModel)
    assert remote.name == "tiny"


def test_a_chat(remote: RemoteModel, stub: StubServer) -> None:
    sampling = Sampling(max_tokens=7, temperature=0.5, top_p=0.9, stop=("!",), seed=3)
    first, second = remote.generate(["good day", "bye"], sampling=sampling)
    assert (first.text, first.finish, first.tokens) == ("GOOD DAY", "stop", ())
    assert second.text == "BYE"
    # As many as were written, and loud where someone adds them up.
    assert first.log_probs.shape == (2,)
    assert np.isnan(first.log_probs).all()
    assert stub.paths == ["/v1/chat/completions"] * 2
    assert stub.keys == [f"Bearer {KEY}"] * 2
    assert {
        "model": "tiny",
        "messages": [{"role": "user", "content": "good day"}],
        "max_tokens": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["!"],
        "seed": 3,
    } in stub.bodies
    assert (remote.cost.texts, remote.cost.tokens) == (2, 23)
    assert remote.cost.seconds > 0
    assert remote.spend.requests == 2


def test_equal_prompts_are_asked_once(remote: RemoteModel, stub: StubServer) -> None:
    texts = [item.text for item in remote.generate(["a", "b", "a"])]
    assert texts == ["A", "B", "A"]
    assert len(stub.bodies) == 2
    assert remote.cost.texts == 3


def test_no_prompts_ask_nothing(remote: RemoteModel, stub: StubServer) -> None:
    assert remote.generate([]) == []
    assert stub.bodies == []


@pytest.mark.parametrize(
    "log_probs",
    [
        {"tokens": [" b", " c"], "token_logprobs": [-0.5, -1.5]},
        {"content": [{"token": " b", "logprob": -0.5}, {"token": " c", "logprob": -1.5}]},
    ],
    ids=["OpenAI", "llama.cpp"],
)
def test_completions_with_log_probs(stub: StubServer, log_probs) -> None:
    def answer(path: str, body):
        choice = {"text": " b c", "finish_reason": "length", "index": 0, "logprobs": log_probs}
        return {"choices": [choice], "usage": usage(1, 2)}

    stub.answer = answer
    offers = ServerFeatures(
        chat=False, log_probs=True, extra_body={"top_k": 5, "temperature": None}
    )
    with RemoteModel("tiny", stub.url, connection=QUICK, offers=offers) as model:
        (one,) = model.generate(["a"], sampling=Sampling(max_tokens=2))
    assert (one.text, one.finish) == (" b c", "length")
    assert one.log_probs.dtype == np.float32
    assert one.log_probs.tolist() == [-0.5, -1.5]
    expected = {"model": "tiny", "prompt": "a", "max_tokens": 2, "logprobs": 1, "top_k": 5}
    assert stub.bodies == [expected]


def test_chat_log_probs(stub: StubServer) -> None:
    stub.answer = lambda path, body: {
        **(good := chat_answer("so it is")),
        "choices": [
            {**good["choices"][0], "logprobs": {"content": [{"token": "so", "logprob": -0.25}]}}
        ],
    }
    offers = ServerFeatures(log_probs=True)
    with RemoteModel("tiny", stub.url, connection=QUICK, offers=offers) as model:
        (one,) = model.generate(["a"])
    assert one.log_probs.tolist() == [-0.25]
    assert stub.bodies[0]["logprobs"] is True


@pytest.mark.parametrize(
    "log_probs",
    [
        {"tokens": [" b"], "token_logprobs": [None]},
        {"tokens": [" b"], "token_logprobs": []},
        {"content": None},
        {"content": []},
        {},
        None,
    ],
)
def test_log_probs_with_holes_are_an_error(stub: StubServer, log_probs) -> None:
    choice = {"text": " b", "finish_reason": "length", "index": 0, "logprobs": log_probs}
    stub.answer = lambda path, body: {"choices": [choice], "usage": usage(1, 1)}
    offers = ServerFeatures(chat=False, log_probs=True)
    with (
        RemoteModel("tiny", stub.url, connection=QUICK, offers=offers) as model,
        pytest.raises(ModelError, match="gave no log-probs, though it was asked"),
    ):
        model.generate(["a"])


def test_log_probs_that_are_no_numbers_are_an_error(stub: StubServer) -> None:
    log_probs = {"tokens": [" b"], "token_logprobs": [float("nan")]}
    choice = {"text": " b", "finish_reason": "length", "index": 0, "logprobs": log_probs}
    stub.answer = lambda path, body: {"choices": [choice], "usage": usage(1, 1)}
    offers = ServerFeatures(chat=False, log_probs=True)
    with (
        RemoteModel("tiny", stub.url, connection=QUICK, offers=offers) as model,
        pytest.raises(ModelError, match="should be a finite number"),
    ):
        model.generate(["a"])


def test_log_probs_that_do_not_come_are_an_error(stub: StubServer) -> None:
    offers = ServerFeatures(log_probs=True)
    with (
        RemoteModel("tiny", stub.url, connection=QUICK, offers=offers) as model,
        pytest.raises(ModelError, match="gave no log-probs, though it was asked"),
    ):
        model.generate(["a"])
    assert len(stub.bodies) == 1


@pytest.mark.parametrize("finish", ["stop", "length"])
def test_an_empty_text_with_a_finish_reason_is_a_text(
    remote: RemoteModel, stub: StubServer, finish: str
) -> None:
    stub.answer = lambda path, body: chat_answer("", finish=finish)
    (one,) = remote.generate(["a"])
    assert (one.text, one.finish) == ("", finish)


@pytest.mark.parametrize("stop", [(";", "."), (" two", ". two"), ("three", ". t")])
def test_a_stop_string_that_the_server_left_in_is_taken_out(
    remote: RemoteModel, stub: StubServer, stop: tuple[str, ...]
) -> None:
    stub.answer = lambda path, body: chat_answer("one. two; three", finish="length")
    (one,) = remote.generate(["a"], sampling=Sampling(stop=stop))
    assert (one.text, one.finish) == ("one", "stop")


@pytest.mark.parametrize("fault", [*BILLED, *UNBILLED])
def test_as_many_faults_as_retries_and_then_success(
    remote: RemoteModel, stub: StubServer, fault: str
) -> None:
    stub.faults = [fault] * 2
    (one,) = remote.generate(["good day"])
    assert one.text == "GOOD DAY"
    billed = 2 if fault in BILLED else 0
    spend = remote.spend
    assert (spend.requests, spend.uncounted) == (3, 2 - billed)
    assert (spend.prompt_tokens, spend.completion_tokens) == (10 + 10 * billed, 2 + 4 * billed)
    assert remote.cost.tokens == spend.tokens


@pytest.mark.parametrize("fault", [*BILLED, *UNBILLED])
def test_one_fault_more_is_one_error(remote: RemoteModel, stub: StubServer, fault: str) -> None:
    stub.faults = [fault] * 4
    with pytest.raises(ModelError, match="was asked 3 times, and at last") as caught:
        remote.generate(["good day"])
    assert stub.url in str(caught.value)
    assert "'tiny'" in str(caught.value)
    assert "Cure: " in str(caught.value)
    assert len(str(caught.value)) < 800
    assert stub.faults == [fault]
    assert remote.cost.tokens == (3 * 14 if fault in BILLED else 0)


@pytest.mark.parametrize("fault", SLOW)
def test_a_server_that_never_ends_is_given_up(stub: StubServer, fault: str) -> None:
    with RemoteModel("tiny", stub.url, connection=HASTY) as model:
        stub.faults = [fault]
        assert model.generate(["a"])[0].text == "A"
        stub.faults = [fault] * 2
        started = time.monotonic()
        with pytest.raises(ModelError, match=r"did not finish its answer within 1\.5 seconds"):
            model.generate(["a"])
        assert time.monotonic() - started < 10
        assert model.spend.uncounted == 3


@pytest.mark.parametrize("fault", FINAL)
def test_what_no_repetition_mends_is_asked_once(
    remote: RemoteModel, stub: StubServer, fault: str
) -> None:
    stub.faults = [fault]
    with pytest.raises(ModelError, match="was asked once, and at last") as caught:
        remote.generate(["a"])
    assert len(stub.bodies) == 1
    assert KEY not in str(caught.value)


@settings(max_examples=15, deadline=None)
@given(
    rounds=st.lists(
        st.lists(st.sampled_from([*BILLED, *UNBILLED]), max_size=2), min_size=1, max_size=4
    )
)
def test_faults_never_change_answers_or_books(rounds: list[list[str]]) -> None:
    with StubServer() as stub, RemoteModel("tiny", stub.url, connection=QUICK) as model:
        for i, faults in enumerate(rounds):
            stub.faults = list(faults)
            assert model.generate([f"word {i}"])[0].text == f"WORD {i}"
        billed = sum(fault in BILLED for faults in rounds for fault in faults)
        assert model.cost.tokens == 12 * len(rounds) + 14 * billed
        assert model.spend.uncounted == sum(map(len, rounds)) - billed


def test_a_failure_ends_the_call_but_not_the_books(stub: StubServer) -> None:
    stub.faults = ["status 400"]
    connection = Connection(concurrency=2, backoff=0)
    with RemoteModel("tiny", stub.url, connection=connection) as model:
        with pytest.raises(ModelError, match="no such field"):
            model.generate([f"word {i}" for i in range(50)])
        assert 1 <= model.spend.requests <= 4
        assert model.spend.uncounted == 1


def test_retry_after_is_honoured(remote: RemoteModel, stub: StubServer) -> None:
    stub.faults = ["status 429, in 0.3 seconds"]
    started = time.monotonic()
    remote.generate(["a"])
    assert time.monotonic() - started >= 0.3


def test_retry_after_may_be_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 < _seconds(later) <= 30
    assert _seconds("Thu, 01 Jan 1970 00:00:00 GMT") == 0
    assert [_seconds(text) for text in ("", "soon", "nan")] == [None] * 3


def test_requests_are_concurrent_and_bounded(stub: StubServer) -> None:
    def slowly(path: str, body):
        time.sleep(0.05)
        return chat_answer(body["messages"][0]["content"])

    stub.answer = slowly
    prompts = [f"word {i}" for i in range(12)]
    with RemoteModel("tiny", stub.url, connection=Connection(concurrency=3)) as model:
        assert [item.text for item in model.generate(prompts)] == prompts
    assert stub.most_in_flight == 3


def test_rates(stub: StubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dragoman.models.remote.server.Duration", SimpleNamespace(MINUTE=300))
    connection = Connection(requests_per_minute=3, backoff=0)
    with RemoteModel("tiny", stub.url, connection=connection) as model:
        started = time.monotonic()
        model.generate(list("abcdefg"))
        # Three at once, and four at a tenth of a second each.
        assert time.monotonic() - started >= 0.35


def test_a_request_larger_than_its_rate_is_an_error(stub: StubServer) -> None:
    connection = Connection(tokens_per_minute=100)
    with (
        RemoteModel("tiny", stub.url, connection=connection) as model,
        pytest.raises(ModelError, match="larger than a minute's worth"),
    ):
        model.generate(["a"])
    assert stub.bodies == []


# Budgets. The stub says 10 tokens read and as many written as words; a request of one letter
# could be 257 tokens read, and max_tokens written.


def test_a_budget_stops_before_it_is_exceeded(stub: StubServer) -> None:
    budget = Budget(tokens=300)
    with RemoteModel("tiny", stub.url, connection=QUICK, budget=budget) as model:
        sampling = Sampling(max_tokens=10)
        for _ in range(4):
            model.generate(["a"], sampling=sampling)
        assert model.spend.tokens == 44
        with pytest.raises(BudgetError, match="could exceed the budget") as caught:
            model.generate(["a"], sampling=sampling)
        assert "spent: 44 of 300 tokens" in str(caught.value)
        assert stub.url in str(caught.value)
        assert len(stub.bodies) == 4


def test_money(stub: StubServer) -> None:
    budget = Budget(money=0.003, prompt_price=1.0, completion_price=100.0)
    with RemoteModel("tiny", stub.url, connection=QUICK, budget=budget) as model:
        model.generate(["a"], sampling=Sampling(max_tokens=27))
        assert model.spend.money == pytest.approx(0.00011)
        with pytest.raises(BudgetError, match="28 of them written, was not sent"):
            model.generate(["a"], sampling=Sampling(max_tokens=28))


@pytest.mark.parametrize("concurrency", [1, 8])
def test_what_fits_one_after_another_fits_at_once(stub: StubServer, concurrency: int) -> None:
    connection = Connection(concurrency=concurrency)
    budget = Budget(tokens=257 + 1 + 9 * 11)
    with RemoteModel("tiny", stub.url, connection=connection, budget=budget) as model:
        sampling = Sampling(max_tokens=1)
        assert len(model.generate(list("abcdefghij"), sampling=sampling)) == 10
        with pytest.raises(BudgetError):
            model.generate(["k"], sampling=sampling)


def test_requests_at_once_do_not_exceed_a_budget_together(stub: StubServer) -> None:
    stub.answer = lambda path, body: chat_answer("word", prompt_tokens=250)
    connection = Connection(concurrency=8)
    with RemoteModel("tiny", stub.url, connection=connection, budget=Budget(tokens=300)) as model:
        with pytest.raises(BudgetError, match="spent: 251 of 300 tokens"):
            model.generate(list("abcdefgh"), sampling=Sampling(max_tokens=1))
        assert len(stub.bodies) == 1


def test_failed_attempts_that_were_billed_count_for_the_budget(stub: StubServer) -> None:
    stub.faults = ["empty choices"] * 2
    budget = Budget(tokens=257 + 64 + 14)
    with RemoteModel("tiny", stub.url, connection=QUICK, budget=budget) as model:
        with pytest.raises(BudgetError, match="spent: 28 of 335 tokens"):
            model.generate(["a"])
        assert len(stub.bodies) == 2


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        ({"tokens": -1}, "tokens of the budget is -1"),
        ({"money": float("nan"), "prompt_price": 1.0}, "money of the budget is nan"),
        ({"money": 1.0}, "no price is given"),
    ],
)
def test_budgets_that_cannot_work(limits, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        Budget(**limits)


# Constraints.


def test_a_choice_by_the_servers_json_schema(stub: StubServer) -> None:
    stub.answer = lambda path, body: chat_answer(json.dumps({"answer": "turn left"}))
    offers = ServerFeatures(json_schema=True)
    with RemoteModel("tiny", stub.url, connection=QUICK, offers=offers) as model:
        (one,) = model.generate(["a"], constraint=Choice(("turn left", "wait")))
    assert one.text == "turn left"
    given = stub.bodies[0]["response_format"]
    assert given["type"] == "json_schema"
    assert given["json_schema"]["strict"] is True
    schema = given["json_schema"]["schema"]
    assert schema["properties"]["answer"] == {"type": "string", "enum": ["turn left", "wait"]}


@pytest.mark.parametrize(
    ("constraint", "fitting", "unfitting"),
    [
        (Choice(("left", "right")), " left\n", "left or right"),
        (Choice((" a", "b")), "a", "a b"),
        (Integer(-5, 10), "-5", "11"),
        (Integer(0, 9), " 7", "7.0"),
        (Json('{"type": "object", "required": ["x"]}'), '{"x": 1}', '{"y": 1}'),
        (Json("{}"), "[]", "[" * 50_000),
        (Json("{}"), "[1, 2]", "[1, NaN]"),
    ],
)
def test_what_does_not_fit_is_asked_again_and_then_an_error(
    remote: RemoteModel, stub: StubServer, constraint, fitting: str, unfitting: str
) -> None:
    texts = [unfitting, unfitting, fitting]
    stub.answer = lambda path, body: chat_answer(texts.pop(0))
    sampling = Sampling(temperature=1.0, seed=5)
    (one,) = remote.generate(["a"], sampling=sampling, constraint=constraint)
    assert one.text.strip() == fitting.strip()
    if isinstance(constraint, Choice):
        assert one.text in constraint.options
    seeds = [body["seed"] for body in stub.bodies]
    assert seeds[0] == 5
    assert len(set(seeds)) == 3
    # Each of the three was billed.
    assert remote.cost.tokens == 30 + 2 * len(unfitting.split()) + len(fitting.split())

    texts += [unfitting] * 3
    with pytest.raises(ModelError, match=r"was asked 3 times, and at last wrote .* does not fit"):
        remote.generate(["a"], sampling=sampling, constraint=constraint)


@pytest.mark.parametrize(
    ("constraint", "text", "found"),
    [
        (Choice(("left", "right")), "Left.", "left"),
        (Choice(("left", "right")), "<think>\nright or left?\n</think>\n\nleft", "left"),
        (Integer(0, 9), "<think>8?</think>The answer is 7.", "7"),
        (Json('{"required": ["x"]}'), '```json\n{"x": 1}\n```', '{"x": 1}'),
    ],
)
def test_an_answer_may_stand_behind_a_thought(
    remote: RemoteModel, stub: StubServer, constraint, text: str, found: str
) -> None:
    stub.answer = lambda path, body: chat_answer(text)
    (one,) = remote.generate(["a"], constraint=constraint)
    assert one.text.strip() == found
    assert len(stub.bodies) == 1


def test_the_object_of_a_schema_may_stand_behind_a_thought(stub: StubServer) -> None:
    stub.answer = lambda path, body: chat_answer('<think>hm</think>```\n{"answer": "left"}\n```')
    with RemoteModel(
        "tiny", stub.url, connection=QUICK, offers=ServerFeatures(json_schema=True)
    ) as model:
        assert model.generate(["a"], constraint=Choice(("left", "right")))[0].text == "left"


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("text", [None, ""])
@pytest.mark.parametrize(("finish", "asked"), [("stop", 3), ("length", 1)])
def test_a_thought_without_an_answer_is_an_error(
    remote: RemoteModel, stub: StubServer, field: str, text: str | None, finish: str, asked: int
) -> None:
    stub.answer = lambda path, body: chat_answer(text, finish=finish, **{field: "left is best"})
    with pytest.raises(ModelError, match="thought and gave no answer") as caught:
        remote.generate(["a"])
    assert "raise max_tokens" in caught.value.cure
    assert len(stub.bodies) == asked
    stub.answer = lambda path, body: chat_answer("left", **{field: "hm"})
    assert remote.generate(["b"])[0].text == "left"


def test_a_seed_stays_when_the_network_fails(remote: RemoteModel, stub: StubServer) -> None:
    stub.faults = ["cut", "status 500"]
    remote.generate(["a"], sampling=Sampling(temperature=1.0, seed=5))
    assert [body["seed"] for body in stub.bodies] == [5, 5, 5]


@pytest.mark.parametrize(
    "schema", ['{"type": "no such type"}', '{"$ref": "https://example.com/schema"}', "[]"]
)
def test_a_schema_that_is_none_is_an_error(
    remote: RemoteModel, stub: StubServer, schema: str
) -> None:
    stub.answer = lambda path, body: chat_answer("{}")
    with pytest.raises(ConfigError, match="is not a JSON schema"):
        remote.generate(["a"], constraint=Json(schema))


def test_a_server_takes_objects_only_as_schema(stub: StubServer) -> None:
    offers = ServerFeatures(json_schema=True)
    with (
        RemoteModel("tiny", stub.url, connection=QUICK, offers=offers) as model,
        pytest.raises(ConfigError, match="is not an object"),
    ):
        model.generate(["a"], constraint=Json("true"))


@pytest.mark.parametrize("text", ["left", '{"answer": "up"}', '["left"]', '{"reply": "left"}'])
def test_an_answer_that_ignores_the_schema_does_not_fit(stub: StubServer, text: str) -> None:
    stub.answer = lambda path, body: chat_answer(text)
    offers = ServerFeatures(json_schema=True)
    with (
        RemoteModel("tiny", stub.url, connection=QUICK, offers=offers) as model,
        pytest.raises(ModelError, match="does not fit"),
    ):
        model.generate(["a"], constraint=Choice(("left", "right")))


# Embeddings.


def embed(text: str) -> list[float]:
    return [1.0, float(len(text)), float(text.count("a"))]


def embeddings(path: str, body):
    data = [
        {"object": "embedding", "index": i, "embedding": embed(text)}
        for i, text in enumerate(body["input"])
    ]
    return {"object": "list", "data": data[::-1], "usage": {"prompt_tokens": len(data)}}


def test_embeddings(remote: RemoteModel, stub: StubServer) -> None:
    stub.answer = embeddings
    texts = [f"{i} bananas" for i in range(100)] + ["0 bananas"]
    features = remote.encode(texts)
    assert features.dtype == np.float32
    assert features.tolist() == [embed(text) for text in texts]
    assert stub.paths == ["/v1/embeddings"] * 2
    assert stub.bodies[0]["encoding_format"] == "float"
    assert (remote.hidden_size, remote.num_layers) == (3, 0)
    assert (remote.cost.texts, remote.cost.tokens) == (101, 100)
    assert remote.encode([]).shape == (0, 3)
    assert len(stub.bodies) == 2


def test_the_width_is_asked_for_once(remote: RemoteModel, stub: StubServer) -> None:
    stub.answer = embeddings
    assert remote.hidden_size == remote.hidden_size == 3
    assert len(stub.bodies) == 1


def test_embeddings_behind_a_cache(remote: RemoteModel, stub: StubServer) -> None:
    stub.answer = embeddings
    cached = CachedModel(remote)
    for _ in range(2):
        assert cached.encode(["a", "bb"]).tolist() == [embed("a"), embed("bb")]
    assert len(stub.bodies) == 1


@pytest.mark.parametrize(
    "arguments", [{"layer": 0}, {"layer": -1}, {"pooling": ("mean",)}, {"pooling": ()}]
)
def test_a_server_chooses_layer_and_pooling(remote: RemoteModel, arguments) -> None:
    with pytest.raises(ConfigError, match="pools and chooses the layer itself"):
        remote.encode(["a"], **arguments)


@pytest.mark.parametrize(
    ("vectors", "problem"),
    [
        ([[1.0]], "gave 1 embeddings with the indices '\\[0\\]' for 2 texts"),
        ([[1.0], [1.0], [1.0]], "gave 3 embeddings"),
        ([[1.0], [1.0, 2.0]], "different widths \\[1, 2\\]"),
        ([[1.0], []], "at least 1 item"),
        ([[1.0], [float("nan")]], "finite number"),
        ([[1.0], [1e300]], "numbers too large"),
        ([[1.0, 0.0], [0.0, 0.0]], "zeros only"),
        ([[1.0], "AACAPw=="], "valid list"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_embeddings_that_make_no_sense(
    remote: RemoteModel, stub: StubServer, vectors, problem: str
) -> None:
    data = [{"index": i, "embedding": vector} for i, vector in enumerate(vectors)]
    stub.answer = lambda path, body: {"data": data, "usage": {"prompt_tokens": 2}}
    with pytest.raises(ModelError, match=problem):
        remote.encode(["a", "b"])
    assert len(stub.bodies) == 3


def test_a_width_that_changes_is_an_error(remote: RemoteModel, stub: StubServer) -> None:
    stub.answer = embeddings
    remote.encode(["a"])
    stub.answer = lambda path, body: {
        "data": [{"index": 0, "embedding": [1.0]}],
        "usage": {"prompt_tokens": 1},
    }
    with pytest.raises(ModelError, match="different widths"):
        remote.encode(["b"])


# Where the server is, and the key to it.


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://example.com/v1", "unencrypted to another machine"),
        ("http://127.0.0.1.example.com/v1", "unencrypted to another machine"),
        ("ftp://127.0.0.1/v1", "is not a URL of a server"),
        ("127.0.0.1:8000/v1", "is not a URL of a server"),
        ("https://me:sk-in-url@example.com/v1", "more than a host and a path"),
        ("https://example.com/v1?key=sk-in-url", "more than a host and a path"),
    ],
)
def test_urls_that_are_refused(url: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        RemoteModel("tiny", url)
    assert "sk-in-url" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "connection"),
    [
        ("https://example.com/v1", Connection()),
        ("http://example.com/v1", Connection(allow_http=True)),
        ("http://[::1]:8000/v1", Connection()),
        ("http://localhost:8000/v1", Connection()),
    ],
)
def test_urls_that_are_taken(url: str, connection: Connection) -> None:
    with RemoteModel("tiny", url, connection=connection) as model:
        assert KEY not in repr(model)


def test_a_key_comes_from_the_named_variable(
    stub: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-mine")
    connection = Connection(api_key_env="MY_KEY")
    with RemoteModel("tiny", stub.url, connection=connection) as model:
        model.generate(["a"])
    assert stub.keys == ["Bearer sk-mine"]


def test_only_this_machine_is_asked_without_a_key(
    stub: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with RemoteModel("tiny", stub.url) as model:
        assert model.generate(["a"])[0].text == "A"
    with pytest.raises(ConfigError, match="OPENAI_API_KEY is not set"):
        RemoteModel("tiny")


def test_a_proxy_is_not_for_this_machine(stub: StubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with RemoteModel("tiny", stub.url, connection=QUICK) as model:
        assert model.generate(["a"])[0].text == "A"


def test_the_key_is_not_logged(
    remote: RemoteModel, stub: StubServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    stub.faults = ["status 500", "status 401"]
    with pytest.raises(ModelError, match=r"wrong key \*\*\*"):
        remote.generate(["a"])
    assert "chat/completions" in caplog.text
    assert KEY not in caplog.text


def test_the_fingerprint_changes_with_what_may_change_answers(stub: StubServer) -> None:
    variants = [
        {},
        {"name": "other"},
        {"base_url": "http://127.0.0.1:1/v1"},
        {"revision": "2"},
        {"offers": ServerFeatures(chat=False)},
        {"offers": ServerFeatures(extra_body={"top_k": 5})},
    ]
    marks = []
    for variant in variants:
        with RemoteModel(**{"name": "tiny", "base_url": stub.url, **variant}) as model:
            marks.append(model.fingerprint)
    assert len(set(marks)) == len(variants)
    with RemoteModel("tiny", stub.url, connection=HASTY) as model:
        assert model.fingerprint == marks[0]


@pytest.mark.parametrize("setting", ["timeout", "retries", "concurrency", "requests_per_minute"])
def test_connections_that_cannot_work(setting: str) -> None:
    with pytest.raises(ConfigError, match=f"{setting} of the connection is -1"):
        Connection(**{setting: -1})


# Threads, processes and interrupts.


def test_it_works_inside_an_event_loop(remote: RemoteModel) -> None:
    async def main() -> str:
        return remote.generate(["a"])[0].text

    assert asyncio.run(main()) == "A"


def test_a_closed_model_says_so(remote: RemoteModel) -> None:
    remote.close()
    with pytest.raises(ModelError, match="after it was closed"):
        remote.generate(["a"])


def test_a_forgotten_model_leaves_no_thread(stub: StubServer) -> None:
    model = RemoteModel("tiny", stub.url, connection=QUICK)
    model.generate(["a"])
    threads = [item for item in threading.enumerate() if item.name == "dragoman-requests"]
    assert len(threads) == 1
    del model
    gc.collect()
    threads[0].join(5)
    assert not threads[0].is_alive()


def test_a_forked_process_is_refused(remote: RemoteModel) -> None:
    remote.generate(["a"])
    child = os.fork()
    if child == 0:
        try:
            remote.generate(["b"])
        except ModelError:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


INTERRUPTED = textwrap.dedent("""
    import signal, sys, time
    from dragoman.models.remote import Connection, RemoteModel
    # A shell has what it starts in the background ignore interrupts, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    model = RemoteModel("tiny", sys.argv[1], connection=Connection(timeout=600))
    try:
        model.generate(["a", "b", "c"])
    except KeyboardInterrupt:
        deadline = time.monotonic() + 10
        while model.spend.uncounted < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        print("interrupted", model.spend.requests, model.spend.uncounted, flush=True)
""")


def test_an_interrupt_gets_through_a_stall(stub: StubServer) -> None:
    stub.faults = ["stall"] * 3
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, stub.url], stdout=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 60
        while len(stub.bodies) < 3:
            assert time.monotonic() < deadline, "the requests do not come"
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        output, _ = process.communicate(timeout=20)
        assert time.monotonic() - started < 10
        # The requests in flight were given up, not only left behind.
        assert output == "interrupted 3 3\n"
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()


def test_it_needs_no_torch_and_names_its_extra() -> None:
    code = textwrap.dedent("""
        import sys
        import dragoman.models.remote
        assert not {"torch", "transformers"} & set(sys.modules)
        for name in list(sys.modules):
            if name.startswith("dragoman"):
                del sys.modules[name]
        sys.modules["openai"] = None
        import dragoman
        try:
            dragoman.RemoteModel
        except dragoman.DragomanError as error:
            assert "'openai' is not installed" in str(error), error
            assert "pip install 'dragoman[remote]'" in str(error), error
        else:
            raise AssertionError("no error")
    """)
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_is_public() -> None:
    assert dragoman.RemoteModel is RemoteModel
