"""Answers of no more bytes than what was asked can need, and never inflated."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from dragoman.errors import MissingExtraError
from dragoman.models.remote.answers import Fault

try:
    import openai
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), extra="remote") from error

MOST_BYTES: ContextVar[int] = ContextVar("MOST_BYTES")
"""Most bytes of the answer to the request that is being made."""

NO_COMPRESSION = {"Accept-Encoding": "identity"}
"""A few bytes can inflate to gigabytes, so that no answer is taken compressed."""


class CappedClient(openai.DefaultAsyncHttpxClient):
    """The client's own HTTP client, which reads no answer beyond `MOST_BYTES`.

    Its request and response are those of httpx or of httpx2, by the version of openai.
    """

    async def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
        """Return the answer, read to its end.

        Raises:
            Fault: It is compressed, or too long.
        """
        response = await super().send(request, stream=True, **options)
        try:
            content = await _read(response)
        finally:
            await response.aclose()
        return type(response)(
            response.status_code,
            headers=response.headers,
            content=content,
            request=request,
            extensions=response.extensions,
        )


async def _read(response: Any) -> bytes:
    coding = response.headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity"):
        raise Fault(
            f"compressed its answer ({coding[:40]!r}), though it was asked not to",
            cure="turn compression off in the server, or in the proxy before it",
        )
    content, most = bytearray(), MOST_BYTES.get()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > most:
            raise Fault(
                f"answered with more than {most} bytes, which what it was asked for cannot need",
                cure="check that the URL is that of an OpenAI-compatible server, and that it "
                "keeps to max_tokens",
            )
    return bytes(content)
