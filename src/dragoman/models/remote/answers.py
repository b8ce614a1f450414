"""What the answer of an OpenAI-compatible server must hold, and what is made of it."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import numpy as np
import pydantic

from dragoman.generation import Constraint, Generation, Sampling, ServedText
from dragoman.models.remote.schema import fit, unwrap
from dragoman.types import FloatArray

M = TypeVar("M", bound=pydantic.BaseModel)

Finite: TypeAlias = Annotated[float, pydantic.Field(allow_inf_nan=False)]
# Rounding to few bits makes some log-probs a little positive; float32 must hold the least.
LogProb: TypeAlias = Annotated[float, pydantic.Field(allow_inf_nan=False, ge=-1e30, le=0.1)]
Count: TypeAlias = Annotated[int, pydantic.Field(ge=0, le=10**15, strict=True)]

Answered: TypeAlias = tuple[str, str, list[float] | None, list[int] | None]
"""A text, why it ended, and log-probs and ids of its tokens where the server says them."""

TEMPLATE_TOKENS = 8192
"""What a server's chat template, with a system prompt of its own, may add to a prompt."""

SPECIAL_TOKENS = 16
"""What a server may count beside the tokens that it was asked for, such as an end token."""

EXCERPT = 200
"""Characters of an answer that an error message quotes."""

KEY: ContextVar[str] = ContextVar("KEY", default="")
"""The API key of the request that is being made, which no excerpt shows, not even a part of it."""


class Fault(Exception):
    """A request that failed, seen from one attempt.

    Args:
        what: What the server did, as the end of a sentence that begins with its name.
        cure: What to do about it.
        again: Whether another attempt may go better.
        wait: Seconds after which the server wants to be asked again, if it has said so.
        is_free: Whether no server bills it: it was never sent, or was answered by an error.
    """

    def __init__(
        self,
        what: str,
        *,
        cure: str,
        again: bool = True,
        wait: float | None = None,
        is_free: bool = False,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.cure = cure
        self.again = again
        self.wait = wait
        self.is_free = is_free


class UnusableAnswer(Fault):
    """A text that does not fit its constraint: worth another draw."""


class Usage(pydantic.BaseModel):
    """What the server has counted."""

    prompt_tokens: Count
    completion_tokens: Count = 0


class _Usage(pydantic.BaseModel):
    usage: Usage


class _TokenLogProb(pydantic.BaseModel):
    logprob: LogProb


class _LogProbs(pydantic.BaseModel):
    # Of a chat; llama.cpp answers completions so too.
    content: list[_TokenLogProb] | None = None
    # Of a completion.
    tokens: list[str] | None = None
    token_logprobs: list[LogProb | None] | None = None

    def known(self) -> list[float] | None:
        if self.content is not None:
            return [item.logprob for item in self.content]
        result = [item for item in self.token_logprobs or [] if item is not None]
        return result if result == self.token_logprobs else None


class _Message(pydantic.BaseModel):
    content: str | None = None
    refusal: str | None = None
    # Where a server puts the thoughts of a model, by two names.
    reasoning_content: Any = None
    reasoning: Any = None

    @property
    def only_thinks(self) -> bool:
        return not self.content and bool(self.reasoning_content or self.reasoning)


class _ChatChoice(pydantic.BaseModel):
    finish_reason: str
    message: _Message
    logprobs: _LogProbs | None = None
    token_ids: list[Count] | None = None


class _Chat(pydantic.BaseModel):
    choices: Annotated[list[_ChatChoice], pydantic.Field(min_length=1)]


class _TextChoice(pydantic.BaseModel):
    text: str
    finish_reason: str
    logprobs: _LogProbs | None = None
    prompt_logprobs: list[dict[str, _TokenLogProb] | None] | None = None
    prompt_token_ids: list[int] | None = None
    token_ids: list[Count] | None = None


class _Texts(pydantic.BaseModel):
    choices: Annotated[list[_TextChoice], pydantic.Field(min_length=1)]


class _NamedTexts(_Texts):
    model: str


class _Embedding(pydantic.BaseModel):
    index: int
    embedding: Annotated[list[Finite], pydantic.Field(min_length=1)]


class _Embeddings(pydantic.BaseModel):
    data: list[_Embedding]


@dataclass(frozen=True)
class ScoredText:
    """A text as the server cut it into tokens.

    Attributes:
        tokens: Name of each token; equal names are equal tokens.
        log_probs: Log-prob of each token after those before it; the first may have none.
    """

    tokens: tuple[Hashable, ...]
    log_probs: tuple[float | None, ...]


def parse(text: str) -> Any:
    """Return the JSON of an answer, or raise a `Fault`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Fault(f"answered what is not JSON: {excerpt(text)}", cure=_WRONG_URL) from None


def read_usage(answer: Any, *, prompt_tokens: int, completion_tokens: int) -> Usage:
    """Return what the server has counted, or raise a `Fault`.

    Args:
        answer: Its answer.
        prompt_tokens: Most tokens that the prompt was thought to have. The server's chat template
            may add more to it than that, but not any number.
        completion_tokens: Most tokens that it was asked to write.
    """
    usage = _checked(_Usage, answer).usage
    if usage.prompt_tokens > 2 * prompt_tokens + TEMPLATE_TOKENS:
        raise Fault(
            f"says that it has read {usage.prompt_tokens:.4g} tokens of a prompt that has at "
            f"most {prompt_tokens}",
            cure=_WRONG_URL,
            again=False,
        )
    if usage.completion_tokens > completion_tokens + SPECIAL_TOKENS:
        raise Fault(
            f"says that it has written {usage.completion_tokens:.4g} tokens, and was asked for at "
            f"most {completion_tokens}",
            cure="set max_tokens_field in ServerFeatures to the name that the server knows",
            again=False,
        )
    return usage


def read_generation(
    answer: Any,
    usage: Usage,
    *,
    sampling: Sampling,
    constraint: Constraint | None,
    chat: bool,
    log_probs: bool,
    token_ids: bool,
    json_schema: bool,
) -> Generation:
    """Return the text that a server has written, or raise a `Fault`.

    Args:
        answer: Its answer.
        usage: What it has counted.
        sampling: What it was asked for.
        constraint: What the text must be.
        chat: Whether it was asked by a chat completion.
        log_probs: Whether it was asked for log-probs.
        token_ids: Whether it was asked for the ids of what it writes.
        json_schema: Whether it was given the constraint as a JSON schema.
    """
    text, reason, result, ids = _chat_choice(answer) if chat else _text_choice(answer)
    # Half of a surrogate pair, which JSON can spell, could be neither kept nor shown.
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    finish = _finish(reason)
    if log_probs and (result is None or (text and not result)):
        raise Fault(
            "gave no log-probs, though it was asked for them",
            cure="set log_probs to False in ServerFeatures, or use a server that gives them",
            again=False,
        )
    if token_ids and (ids is None or (result is not None and len(ids) != len(result))):
        raise Fault(
            "gave no token ids, or others than log-probs, though it was asked for them",
            cure="set token_ids to False in ServerFeatures, or use a server that gives them",
            again=False,
        )
    # Some servers leave the stop string in the text.
    ends = [end for end in map(text.find, sampling.stop) if end >= 0]
    if ends:
        text, finish = text[: min(ends)], "stop"
    if constraint is not None:
        text = _constrained(constraint, text, finish, json_schema=json_schema)
    # Unknown log-probs are NaN, so that no sum over them passes for a probability.
    unknown = np.full(usage.completion_tokens, np.nan, np.float32)
    known = unknown if result is None else np.array(result, np.float32)
    tokens = tuple(ids or ()) if token_ids else ()
    return Generation(text=text, log_probs=known, finish=finish, tokens=tokens)


def read_served(answer: Any, usage: Usage, *, versions: Mapping[str, int]) -> ServedText:
    """Return the ids and log-probs that a server's adapter has written, or raise a `Fault`.

    Args:
        answer: Its answer.
        usage: What it has counted.
        versions: Versions of the adapter, by all names that it was loaded under.
    """
    named = _checked(_NamedTexts, answer)
    choice = named.choices[0]
    ids, log_probs = choice.token_ids, choice.logprobs.known() if choice.logprobs else None
    if not ids or log_probs is None or len(ids) != len(log_probs):
        raise Fault(
            f"gave {_count(ids)} token ids and {_count(log_probs)} log-probs of what it wrote, "
            "but training needs both of every token",
            cure="use a server that gives them, such as a vLLM that knows return_token_ids",
            again=False,
        )
    if named.model not in versions:
        raise Fault(
            f"answered as the model {excerpt(named.model)}, which is no adapter of this training",
            cure="ask the server itself, and no proxy that chooses among models",
            again=False,
        )
    return ServedText(
        choice.text,
        np.array(log_probs, np.float32),
        _finish(choice.finish_reason),
        tuple(ids),
        version=versions[named.model],
    )


def _count(items: Sequence[Any] | None) -> str:
    return "no" if items is None else str(len(items))


def read_echo(answer: Any, usage: Usage, text: str) -> ScoredText:
    """Return the tokens of a prompt that was echoed with its log-probs, or raise a `Fault`."""
    choice = _checked(_Texts, answer).choices[0]
    count = usage.prompt_tokens
    tokens = choice.logprobs.tokens if choice.logprobs else None
    result = choice.logprobs.token_logprobs if choice.logprobs else None
    if (
        tokens is None
        or result is None
        or not choice.text.startswith(text)
        or not count <= len(tokens) == len(result)
    ):
        raise Fault(
            "did not give the log-probs of the prompt, though it was asked to echo them",
            cure=_NO_PROMPT_LOG_PROBS,
            again=False,
        )
    return _scored(tokens[:count], result[:count])


def read_vllm(answer: Any, usage: Usage) -> ScoredText:
    """Return the tokens of a prompt and vLLM's ``prompt_logprobs``, or raise a `Fault`."""
    choice = _checked(_Texts, answer).choices[0]
    ids, result = choice.prompt_token_ids, choice.prompt_logprobs
    if ids is None or result is None or not usage.prompt_tokens == len(ids) == len(result):
        raise Fault(
            "did not give prompt_logprobs and prompt_token_ids, though it was asked for them",
            cure=_NO_PROMPT_LOG_PROBS,
            again=False,
        )
    own = [
        entry.get(str(token)) if entry else None for token, entry in zip(ids, result, strict=True)
    ]
    return _scored(ids, [item.logprob if item else None for item in own])


def read_embeddings(answer: Any, count: int) -> FloatArray:
    """Return the vectors ``(count, H)`` in the order of the texts, or raise a `Fault`."""
    data = sorted(_checked(_Embeddings, answer).data, key=lambda one: one.index)
    if [item.index for item in data] != list(range(count)):
        raise Fault(
            f"gave {len(data)} embeddings with the indices "
            f"{excerpt(str([item.index for item in data]))} for {count} texts",
            cure=_WRONG_URL,
        )
    widths = sorted({len(item.embedding) for item in data})
    if len(widths) != 1:
        raise Fault(f"gave embeddings of different widths {widths}", cure=_WRONG_URL)
    with np.errstate(over="ignore"):
        vectors = np.array([item.embedding for item in data], np.float32)
    if not np.isfinite(vectors).all() or not vectors.any(axis=1).all():
        raise Fault("gave an embedding of zeros only, or of numbers too large", cure=_WRONG_URL)
    return vectors


def excerpt(text: str) -> str:
    """Return the start of a text, quoted, and the API key nowhere in it."""
    if key := KEY.get():
        # In JSON some characters of a key are escaped.
        text = text.replace(key, "***").replace(json.dumps(key)[1:-1], "***")
    return repr(text[:EXCERPT]) + ("..." if len(text) > EXCERPT else "")


_WRONG_URL = "check that the URL is that of an OpenAI-compatible server, which often ends in /v1"
_NO_PROMPT_LOG_PROBS = (
    "set prompt_log_probs in ServerFeatures to what the server offers, or score with a local model"
)


def _checked(model: type[M], answer: Any) -> M:
    try:
        return model.model_validate(answer)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the answer"
        quoted = excerpt(_json(answer))
        raise Fault(
            f"answered without what it should hold: {where}: {first['msg']}; it was {quoted}",
            cure=_WRONG_URL,
        ) from None


def _json(answer: Any) -> str:
    try:
        return json.dumps(answer)
    except RecursionError:
        return "JSON of great depth"


def _chat_choice(answer: Any) -> Answered:
    choice = _checked(_Chat, answer).choices[0]
    if choice.message.refusal:
        raise _refused(excerpt(choice.message.refusal))
    text = choice.message.content
    if choice.message.only_thinks:
        cut = choice.finish_reason == "length"
        raise Fault(
            "thought and gave no answer" + (" before max_tokens was reached" if cut else ""),
            cure="raise max_tokens, or turn thinking off by extra_body in ServerFeatures",
            again=not cut,
        )
    if text is None and choice.finish_reason == "stop":
        raise Fault(f"gave no text: {excerpt(_json(answer))}", cure=_WRONG_URL)
    known = choice.logprobs.known() if choice.logprobs else None
    return text or "", choice.finish_reason, known, choice.token_ids


def _text_choice(answer: Any) -> Answered:
    choice = _checked(_Texts, answer).choices[0]
    known = choice.logprobs.known() if choice.logprobs else None
    return choice.text, choice.finish_reason, known, choice.token_ids


def _finish(reason: str) -> Literal["stop", "length"]:
    if reason == "stop":
        return "stop"
    if reason == "length":
        return "length"
    if reason == "content_filter":
        raise _refused("its content filter")
    raise Fault(
        f"ended a text for the reason {reason!r}, which is neither 'stop' nor 'length'",
        cure="ask a model and a server that write plain text",
        again=False,
    )


def _refused(why: str) -> Fault:
    return Fault(f"refused to write: {why}", cure="change the prompt or the model", again=False)


def _constrained(
    constraint: Constraint, text: str, finish: Literal["stop", "length"], *, json_schema: bool
) -> str:
    inner = unwrap(constraint, text) if json_schema else text
    fitting = None if inner is None else fit(constraint, inner)
    if fitting is None:
        cut = ", cut off by max_tokens" if finish == "length" else ""
        raise UnusableAnswer(
            f"wrote {excerpt(text)}{cut}, which does not fit {excerpt(str(constraint))}",
            cure="name the allowed answers in the prompt, raise max_tokens, or set json_schema "
            "in ServerFeatures where the server takes one",
        )
    return fitting


def _scored(tokens: Sequence[Hashable], log_probs: Sequence[float | None]) -> ScoredText:
    if any(log_prob is None or not np.isfinite(log_prob) for log_prob in log_probs[1:]):
        raise Fault(
            "gave a token of the prompt without its log-prob",
            cure=_NO_PROMPT_LOG_PROBS,
            again=False,
        )
    return ScoredText(tuple(tokens), tuple(log_probs))
