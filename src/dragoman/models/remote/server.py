"""An OpenAI-compatible server: requests within rates and a budget, and what goes wrong."""

from __future__ import annotations

import asyncio
import email.utils
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from dragoman.errors import BudgetError, ConfigError, MissingExtraError, ModelError
from dragoman.models.remote.address import NO_KEY, api_key, check_url
from dragoman.models.remote.answers import (
    KEY,
    Fault,
    UnusableAnswer,
    Usage,
    excerpt,
    parse,
    read_usage,
)
from dragoman.models.remote.background import Background
from dragoman.models.remote.budget import Account, Budget, Reservation
from dragoman.models.remote.capped import MOST_BYTES, NO_COMPRESSION, CappedClient

try:
    import openai
    import tenacity
    from pyrate_limiter import Duration, Limiter, Rate, StateBucket, TokenBucket
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), extra="remote") from error

T = TypeVar("T")

LONGEST_WAIT = 120.0
"""Seconds beyond which a server's Retry-After is an error instead of a wait."""

LONGEST_BACKOFF = 8.0
BYTES_AN_ANSWER, BYTES_A_TOKEN, BYTES_A_VECTOR = 2**18, 2**10, 2**20
SEED_STEP = 1_000_003
"""Between the seeds of two draws for one unfitting answer; callers count seeds by ones."""


@dataclass(frozen=True)
class Connection:
    """How a server is reached.

    Attributes:
        api_key_env: Environment variable that holds the API key. Without it no key is sent,
            which only servers on this machine are asked to accept.
        timeout: Seconds that one request may take, from connecting to its last byte.
        retries: How often a request is made again after a failure that may pass.
        backoff: Seconds before the first repetition; doubled each time up to 8, with jitter.
            A server's Retry-After comes first.
        concurrency: Most requests in flight in one call.
        requests_per_minute: Rate of requests, repetitions included; a minute's worth may be
            sent at once.
        tokens_per_minute: Rate of tokens, by a rough count of a token for three bytes.
        allow_http: Send prompts and key unencrypted to another machine.
    """

    api_key_env: str = "OPENAI_API_KEY"
    timeout: float = 60.0
    retries: int = 4
    backoff: float = 0.5
    concurrency: int = 8
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    allow_http: bool = False

    def __post_init__(self) -> None:
        for name, value, least in (
            ("timeout", self.timeout, 1e-3),
            ("retries", self.retries, 0),
            ("backoff", self.backoff, 0),
            ("concurrency", self.concurrency, 1),
            ("requests_per_minute", self.requests_per_minute, 1),
            ("tokens_per_minute", self.tokens_per_minute, 1),
        ):
            if value is not None and not value >= least:
                raise ConfigError(
                    f"{name} of the connection is {value!r}, but must be at least {least}",
                    cure=f"raise {name}",
                )


@dataclass(frozen=True)
class Request(Generic[T]):
    """One question to a server.

    Attributes:
        path: Endpoint below the server's URL.
        body: JSON body.
        prompt_tokens: Most tokens that its prompt can have.
        completion_tokens: Most tokens that the server may write.
        read: Makes the result of an answer, or raises a `Fault`.
        vectors: Embeddings that are asked for.
        is_command: Whether it changes the server, costs no tokens and is answered by any text. It
            is not made again where it may have been carried out.
    """

    path: str
    body: Mapping[str, Any]
    prompt_tokens: int
    completion_tokens: int
    read: Callable[[Any, Usage], T]
    vectors: int = 0
    is_command: bool = False

    @property
    def most_bytes(self) -> int:
        """Bytes of an answer that holds what is asked, with log-probs, and room to spare."""
        tokens = self.prompt_tokens + self.completion_tokens
        return BYTES_AN_ANSWER + BYTES_A_TOKEN * tokens + BYTES_A_VECTOR * self.vectors


class Server:
    """A server with one model of it, asked within rates and a budget.

    The client's own repetitions are off: an answer that makes no sense is a failure here too,
    and both kinds share one number of retries.

    Args:
        url: Base URL, which often ends in ``/v1``.
        model: Name of the model, for error messages.
        connection: How to reach it.
        budget: What may be spent.

    Raises:
        ConfigError: The URL is not safe or not a URL, or there is no API key.
    """

    def __init__(self, url: str, model: str, connection: Connection, budget: Budget) -> None:
        is_here = check_url(url, allow_http=connection.allow_http)
        self.url = url.rstrip("/")
        self.account = Account(budget)
        self._model = model
        self._connection = connection
        self._limits = [
            (Limiter(StateBucket([Rate(rate, Duration.MINUTE)], algorithm=TokenBucket())), weigh)
            for rate, weigh in (
                (connection.requests_per_minute, _one),
                (connection.tokens_per_minute, _rough_tokens),
            )
            if rate is not None
        ]
        key = api_key(connection.api_key_env, url, is_needed=not is_here)
        # The stand-in is no secret, and a text may hold it.
        self._secret = "" if key == NO_KEY else key
        self._client = openai.AsyncOpenAI(
            api_key=key,
            base_url=self.url,
            default_headers=NO_COMPRESSION,
            max_retries=0,
            timeout=connection.timeout,
            http_client=CappedClient(
                timeout=connection.timeout,
                # Neither a proxy nor a .netrc is meant for this machine.
                trust_env=not is_here,
                # A redirection could lead from https to http.
                follow_redirects=False,
            ),
        )
        self._background = Background()
        self.close = weakref.finalize(self, self._background.stop, self._client.close)

    def ask(self, requests: Sequence[Request[T]]) -> list[T]:
        """Return the result of each request, in their order.

        After a failure no more requests are begun; those in flight end, so that their cost is
        known.

        Raises:
            BudgetError: A request could exceed the budget.
            ModelError: A request failed, and so did its repetitions.
        """
        return self._background.run(self._all(requests)) if requests else []

    async def _all(self, requests: Sequence[Request[T]]) -> list[T]:
        results: dict[int, T] = {}
        failures: list[ModelError] = []
        waiting = iter(enumerate(requests))

        async def work() -> None:
            for place, request in waiting:
                try:
                    results[place] = await self._answer(request)
                except ModelError as error:
                    failures.append(error)
                if failures:
                    return

        workers = min(self._connection.concurrency, len(requests))
        await asyncio.gather(*(work() for _ in range(workers)))
        if failures:
            raise failures[0]
        return [results[place] for place in range(len(requests))]

    async def _answer(self, request: Request[T]) -> T:
        attempts = unfit = 0
        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(self._connection.retries + 1),
            retry=tenacity.retry_if_exception(partial(_may_pass, request)),
            wait=self._pause,
            reraise=True,
        )
        try:
            async for attempt in retrying:
                with attempt:
                    attempts += 1
                    try:
                        return await self._attempt(_reseeded(request.body, unfit), request)
                    except UnusableAnswer:
                        unfit += 1
                        raise
        except Fault as fault:
            times = "once" if attempts == 1 else f"{attempts} times"
            raise ModelError(
                self._hide_key(
                    f"the server {self.url} with the model {self._model!r} was asked {times}, "
                    f"and at last {fault.what}"
                ),
                cure=fault.cure,
            ) from None
        except BudgetError as refusal:
            raise BudgetError(
                f"the server {self.url} with the model {self._model!r}: {refusal.problem}",
                cure=refusal.cure,
            ) from None
        raise AssertionError("unreachable: the last failure is raised again")

    async def _attempt(self, body: Mapping[str, Any], request: Request[T]) -> T:
        most = Reservation(request.prompt_tokens, request.completion_tokens)
        async with self.account.open(most) as reservation:
            for limiter, weigh in self._limits:
                if not await limiter.try_acquire_async(weight=weigh(request)):
                    raise Fault(
                        f"was not asked, because a request of about {weigh(request)} tokens is "
                        "larger than a minute's worth",
                        cure="raise tokens_per_minute of the connection",
                        again=False,
                    )
            KEY.set(self._secret)
            MOST_BYTES.set(request.most_bytes)
            reservation.is_owed = True
            try:
                text = await self._post(request.path, body)
                if request.is_command:
                    reservation.count(0, 0)
                    return request.read(text, Usage(prompt_tokens=0))
                answer = parse(text)
            except Fault as fault:
                reservation.is_owed = not fault.is_free
                raise
            usage = read_usage(
                answer,
                prompt_tokens=request.prompt_tokens,
                completion_tokens=request.completion_tokens,
            )
            reservation.count(usage.prompt_tokens, usage.completion_tokens)
            return request.read(answer, usage)

    async def _post(self, path: str, body: Mapping[str, Any]) -> str:
        seconds = self._connection.timeout
        try:
            # The client's timeout begins again with every byte.
            async with asyncio.timeout(seconds):
                text: str = await self._client.post(f"/{path}", cast_to=str, body=dict(body))
                return text
        except (TimeoutError, openai.APITimeoutError):
            raise Fault(
                f"did not finish its answer within {seconds:g} seconds",
                cure="raise timeout of the connection, or ask for fewer tokens",
            ) from None
        except openai.APIStatusError as error:
            raise _status_fault(error) from None
        except openai.APIConnectionError as error:
            if isinstance(error.__cause__, Fault):
                raise error.__cause__ from None
            raise Fault(
                f"could not be reached, or broke off its answer: {error.__cause__}",
                cure="check that it runs and that its URL is right",
                is_free=type(error.__cause__).__name__ == "ConnectError",
            ) from None

    def _pause(self, state: tenacity.RetryCallState) -> float:
        fault = state.outcome.exception() if state.outcome else None
        if isinstance(fault, Fault) and fault.wait is not None:
            return fault.wait
        backoff = self._connection.backoff
        longer = tenacity.wait_exponential(multiplier=backoff, max=LONGEST_BACKOFF)
        return float((longer + tenacity.wait_random(0, backoff / 2))(state))

    def _hide_key(self, message: str) -> str:
        # Some servers quote it when they refuse it.
        return message.replace(self._secret, "***") if self._secret else message


def _may_pass(request: Request[Any], error: BaseException) -> bool:
    if not isinstance(error, Fault) or not error.again:
        return False
    return error.is_free or not request.is_command


def _one(request: Request[Any]) -> int:
    return 1


def _rough_tokens(request: Request[Any]) -> int:
    return request.prompt_tokens // 3 + request.completion_tokens


def _reseeded(body: Mapping[str, Any], unfit: int) -> Mapping[str, Any]:
    if not unfit or "seed" not in body:
        return body
    return {**body, "seed": (body["seed"] + unfit * SEED_STEP) % 2**31}


def _status_fault(error: openai.APIStatusError) -> Fault:
    status, headers = error.status_code, error.response.headers
    said = excerpt(error.response.text)
    wait = _seconds(headers.get("retry-after", ""))
    if wait is not None and wait > LONGEST_WAIT:
        return Fault(
            f"answered with status {status} and wants to be asked again in {wait:.0f} seconds: "
            f"{said}",
            cure="wait, or lower requests_per_minute and tokens_per_minute of the connection",
            again=False,
            is_free=True,
        )
    cures = {
        401: "check the API key in the environment variable that api_key_env names",
        403: "check what the API key is allowed to do",
        404: "check the server's URL, which often ends in /v1, and the name of the model",
        429: "lower requests_per_minute and tokens_per_minute of the connection, or check the "
        "account's quota",
    }
    may_pass = status in (408, 409, 429) or status >= 500
    return Fault(
        f"answered with status {status}: {said}",
        cure=cures.get(
            status, "look into the server's log" if may_pass else "mend what the server names"
        ),
        again=may_pass and headers.get("x-should-retry") != "false",
        wait=wait,
        is_free=status not in (408, 504, 524),
    )


def _seconds(retry_after: str) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110, 10.2.3), if it holds any."""
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return max(seconds, 0.0) if seconds == seconds else None
