"""Control tokens inside a text are text for a server, too, whatever its tokenizer."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.errors import ConfigError, ModelError
from dragoman.generation import ChatPrompt
from dragoman.models.cache import CachedModel
from dragoman.models.remote import Connection, RemoteModel, ServerFeatures
from dragoman.models.store import Store
from tests.models.remote.stub_server import StubServer, chat_answer, usage

FAMILIES = {
    "chatml": ["<|im_start|>", "<|im_end|>", "<|endoftext|>"],
    "llama 2": ["<s>", "</s>", "<unk>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"],
    "llama 3": ["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>"],
    "mistral": ["[SYSTEM_PROMPT]", "[/AVAILABLE_TOOLS]", "[TOOL_CALLS]"],
    "gemma": ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>", "<pad>"],
    "qwen": ["<think>", "</think>", "<tool_call>", "<|fim_prefix|>"],
    "deepseek": ["<｜User｜>", "<｜end▁of▁sentence｜>"],
    "glm": ["[gMASK]", "<sop>", "<|user|>"],
    "bert": ["[CLS]", "[SEP]", "[MASK]", "[unused12]"],
    "t5": ["<extra_id_0>", "＜/s＞"],
    "kimi": ["◁think▷", "◁/think▷"],
    "falcon": [">>QUESTION<<", ">>ANSWER<<"],
}
every_family = pytest.mark.parametrize("family", FAMILIES)
PLAIN = 'x < 3, y > 2 -> [left], [1, 2], a<b, {"a": ["B"]} << 4 >> 2 and <- ->'


def answer(path: str, body: Any) -> Any:
    if path.endswith("embeddings"):
        return {
            "data": [{"index": i, "embedding": [1.0]} for i in range(len(body["input"]))],
            "usage": usage(4, 0),
        }
    if path.endswith("chat/completions"):
        return chat_answer("ok")
    # The prompt's characters stand for its tokens.
    text, count = body["prompt"], len(body["prompt"])
    log_probs = {"tokens": [*text, "w"], "token_logprobs": [None, *[-1.0] * count]}
    choice = {"index": 0, "text": text + "w", "finish_reason": "length", "logprobs": log_probs}
    if "echo" not in body:
        choice = {"index": 0, "text": "w", "finish_reason": "length"}
    return {"choices": [choice], "usage": usage(count, 1)}


OPEN: list[RemoteModel] = []


def model(stub: StubServer, **offers: Any) -> RemoteModel:
    OPEN.append(
        RemoteModel(
            "m", stub.url, connection=Connection(retries=0), offers=ServerFeatures(**offers)
        )
    )
    return OPEN[-1]


@pytest.fixture(autouse=True)
def _closed():
    yield
    while OPEN:
        OPEN.pop().close()


def sent(stub: StubServer) -> list[str]:
    texts: list[str] = []
    for body in stub.bodies:
        said = [item["content"] for item in body.get("messages", [])]
        texts += [*said, *body.get("input", []), *([body["prompt"]] if "prompt" in body else [])]
    return texts


@every_family
def test_whatever_looks_like_a_control_token_is_broken_up(family: str) -> None:
    wicked = [f"push{token} left {token}" for token in FAMILIES[family]]
    with StubServer(answer) as stub:
        model(stub).generate(wicked)
        model(stub, chat=False).generate(wicked)
        model(stub, prompt_log_probs="echo").token_log_probs(wicked, [["a", "b"]] * len(wicked))
        model(stub, prompt_log_probs="echo").token_log_probs(["a"], [FAMILIES[family]])
        model(stub).encode(wicked)
    texts = sent(stub)
    assert len(texts) > 5 * len(wicked)
    for text in texts:
        assert not any(token in text for token in FAMILIES[family]), text


def test_other_texts_are_sent_as_they_are() -> None:
    with StubServer(answer) as stub:
        model(stub).generate([PLAIN])
        model(stub).encode([PLAIN])
    assert sent(stub) == [PLAIN, PLAIN]


def test_a_template_of_your_own_keeps_its_control_tokens() -> None:
    prompt = ChatPrompt(["<|user|>\n", "what is <|end|>", "<|end|>\n<|model|>"])
    with StubServer(answer) as stub:
        model(stub, chat=False).generate([prompt])
        scorer = model(stub, prompt_log_probs="echo")
        scorer.token_log_probs([prompt], [["<|end|>"]])
        with pytest.raises(ConfigError, match="puts a template around it by itself"):
            model(stub).generate([prompt])
    read = "<|user|>\nwhat is < |end|><|end|>\n<|model|>"
    assert sorted(sent(stub)) == [read, read, read + "< |end|>"]  # two were sent side by side


@pytest.mark.parametrize("keep", [False, True])
def test_half_of_a_surrogate_pair_is_named_and_never_kept(keep: bool, tmp_path) -> None:
    half = "push \ud83d left"
    with StubServer(lambda path, body: chat_answer("ok \ud83d")) as stub:
        asked = CachedModel(
            model(stub, prompt_log_probs="echo"), store=Store(tmp_path) if keep else None
        )
        for ask in (
            lambda: asked.generate([half]),
            lambda: asked.encode([half]),
            lambda: asked.token_log_probs(["a"], [[half, "b"]]),
        ):
            with pytest.raises(ModelError, match="half of a pair"):
                ask()
        assert stub.bodies == []
        assert [item.text for item in asked.generate(["push"])] == ["ok \ufffd"]


def test_a_candidate_without_tokens_cannot_win() -> None:
    def dropping(path: str, body: Any) -> Any:
        result = answer(path, body)
        count = len(body["prompt"].replace("\u200b", ""))
        (choice,) = result["choices"]
        choice["logprobs"] = {
            "tokens": [*body["prompt"].replace("\u200b", ""), "w"],
            "token_logprobs": [None, *[-1.0] * count],
        }
        return {**result, "usage": usage(count, 1)}

    with StubServer(dropping) as stub:
        scorer = model(stub, prompt_log_probs="echo")
        with pytest.raises(ConfigError, match=r"candidate '\\u200b' has no token on the server"):
            scorer.token_log_probs(["push"], [["a", "\u200b"]])
        assert scorer.token_log_probs(["push"], [[]]) == [[]]
        assert scorer.token_log_probs(["push", "a"], [[], []]) == [[], []]
