"""What a server offers, and the requests that are made of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from dragoman.errors import ConfigError
from dragoman.generation import (
    ChatPrompt,
    Constraint,
    Generation,
    Sampling,
    ServedText,
    check_characters,
)
from dragoman.models.remote.answers import (
    ScoredText,
    Usage,
    read_echo,
    read_embeddings,
    read_generation,
    read_served,
    read_vllm,
)
from dragoman.models.remote.budget import most_tokens
from dragoman.models.remote.schema import schema_of
from dragoman.models.remote.server import Request
from dragoman.types import FloatArray

TEXTS_A_REQUEST = 64
"""Texts that one request to the embeddings endpoint carries."""

CONTROL = re.compile(
    # <|im_end|>, </s>, <start_of_turn>, <think>; of full width too, which some normalise.
    r"[<\uff1c](?=[^<>\uff1c\uff1e\s]{1,64}[>\uff1e])"
    r"|[\[\uff3b](?=/?(?:\w*[A-Z]{2}\w*|unused\d+)[\]\uff3d])"  # [INST], [/INST], [SEP], [gMASK]
    r"|◁(?=\S{1,64}▷)|>>(?=[A-Z]+<<)"  # of Kimi and of Falcon
)
"""The first character of what some tokenizer takes for a control token."""


@dataclass(frozen=True)
class ServerFeatures:
    """What a server offers; docs/remote.md lists it for the usual ones.

    Attributes:
        chat: Ask by chat completions, where the prompt is the user's message inside the model's
            chat template; otherwise by completions, which continue the prompt as it is.
        log_probs: Ask for the log-probs of what is written. Where not, they are NaN.
        token_ids: Ask for the ids of what is written, by vLLM's ``return_token_ids``.
        prompt_log_probs: How the server gives log-probs of a prompt, which scoring needs:
            ``echo`` by completions with ``echo`` and ``logprobs``, ``vllm`` by
            ``prompt_logprobs``; ``None`` where it does not.
        json_schema: Give constraints to the server as a ``response_format``. Where not, they
            are only checked here.
        max_tokens_field: How the server calls the longest completion; OpenAI's reasoning models
            ask for the second name.
        extra_body: More fields of every request that writes; a field that is ``None`` is left
            out, such as a ``temperature`` that the model refuses.
    """

    chat: bool = True
    log_probs: bool = False
    token_ids: bool = False
    prompt_log_probs: Literal["echo", "vllm"] | None = None
    json_schema: bool = False
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    extra_body: Mapping[str, Any] = field(default_factory=dict)


def writing(
    model: str,
    offers: ServerFeatures,
    prompt: str,
    sampling: Sampling,
    constraint: Constraint | None,
) -> Request[Generation]:
    """Return the request to write after a prompt."""
    text = as_text(prompt)
    if offers.chat and isinstance(prompt, ChatPrompt):
        raise ConfigError(
            f"the prompt {prompt[:60]!r} stands in a chat template, but the server of {model!r} "
            "puts a template around it by itself",
            cure="give the text alone, or set chat to False in ServerFeatures",
        )
    gives_schema = constraint is not None and offers.json_schema
    body = {
        "model": model,
        **({"messages": [{"role": "user", "content": text}]} if offers.chat else {"prompt": text}),
        **_sampling(offers, sampling),
        **(_response_format(constraint) if constraint is not None and gives_schema else {}),
        **offers.extra_body,
    }
    return Request(
        "chat/completions" if offers.chat else "completions",
        {name: value for name, value in body.items() if value is not None},
        prompt_tokens=most_tokens(text),
        completion_tokens=sampling.max_tokens,
        read=partial(
            read_generation,
            sampling=sampling,
            constraint=constraint,
            chat=offers.chat,
            log_probs=offers.log_probs,
            token_ids=offers.token_ids,
            json_schema=gives_schema,
        ),
    )


def writing_ids(
    adapter: str,
    offers: ServerFeatures,
    prompt: Sequence[int],
    sampling: Sampling,
    ends: Sequence[int],
    versions: Mapping[str, int],
) -> Request[ServedText]:
    """Return the request to write after token ids, from the adapter's own distribution.

    Args:
        adapter: Name that it was loaded under.
        offers: For more fields of the request.
        prompt: Token ids, whole.
        sampling: How tokens are chosen.
        ends: Tokens that end a text.
        versions: Versions of the adapter, by all names that it was loaded under.
    """
    offers = replace(offers, chat=False, log_probs=True, token_ids=True)
    body = {
        "model": adapter,
        "prompt": list(prompt),
        **_sampling(offers, sampling),
        "stop_token_ids": list(ends),
        # The server would take these from the settings that came with the model.
        **{"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0},
        **offers.extra_body,
    }
    return Request(
        "completions",
        {name: value for name, value in body.items() if value is not None},
        prompt_tokens=len(prompt),
        completion_tokens=sampling.max_tokens,
        read=partial(read_served, versions=versions),
    )


def command(path: str, body: Mapping[str, Any]) -> Request[None]:
    """Return the request that a server changes something."""
    return Request(path, body, 0, 0, read=lambda text, usage: None, is_command=True)


def scoring(model: str, offers: ServerFeatures, text: str) -> Request[ScoredText]:
    """Return the request for the log-probs of a text's own tokens.

    One token is written and ignored, because not every server agrees to write none.
    """
    text = as_text(text)
    body = {"model": model, "prompt": text, "max_tokens": 1, "temperature": 0.0}
    if offers.prompt_log_probs == "vllm":
        # No other tokens than the text's own, and their ids, by which they are compared.
        body |= {"prompt_logprobs": 0, "return_token_ids": True}
        read: Callable[[Any, Usage], ScoredText] = read_vllm
    else:
        body |= {"echo": True, "logprobs": 1}
        read = partial(read_echo, text=text)
    return Request(
        "completions", body, prompt_tokens=most_tokens(text), completion_tokens=1, read=read
    )


def embedding(model: str, texts: Sequence[str]) -> Request[FloatArray]:
    """Return the request for one vector a text."""
    texts = [as_text(text) for text in texts]

    def read(answer: Any, usage: Usage) -> FloatArray:
        return read_embeddings(answer, len(texts))

    body = {"model": model, "input": list(texts), "encoding_format": "float"}
    return Request(
        "embeddings",
        body,
        prompt_tokens=most_tokens(*texts),
        completion_tokens=0,
        read=read,
        vectors=len(texts),
    )


def as_text(prompt: str) -> str:
    """Return a prompt in which a server finds no control token but those of a `ChatPrompt`.

    The server's tokenizer is not known here, so whatever looks like a control token gets a
    space behind its first character, which no normalisation takes off again.

    Raises:
        ModelError: It has half of a surrogate pair.
    """
    check_characters(prompt)
    if isinstance(prompt, ChatPrompt):
        return "".join(
            part if own else CONTROL.sub(r"\g<0> ", part) for part, own in prompt.spans()
        )
    return CONTROL.sub(r"\g<0> ", prompt)


def _sampling(offers: ServerFeatures, sampling: Sampling) -> dict[str, Any]:
    fields: dict[str, Any] = {
        offers.max_tokens_field: sampling.max_tokens,
        "temperature": sampling.temperature,
    }
    if sampling.temperature > 0:
        fields |= {"seed": sampling.seed, "top_p": sampling.top_p}
    if sampling.stop:
        fields["stop"] = list(sampling.stop)
    if offers.log_probs:
        fields["logprobs"] = True if offers.chat else 1
    if offers.token_ids:
        fields["return_token_ids"] = True
    return fields


def _response_format(constraint: Constraint) -> dict[str, Any]:
    schema = {"name": "answer", "strict": True, "schema": schema_of(constraint)}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}
