"""Which language model a part of an experiment asks, where that is another than its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from dragoman.models.cache import CachedModel
from dragoman.models.catalog import DType, cache_folder, load_model
from dragoman.models.store import Store
from dragoman.types import LanguageModel


@dataclass(frozen=True)
class Asked:
    """A language model on this machine, or behind an OpenAI-compatible server.

    Attributes:
        name: A catalogue name, a hub name or a path; or the model in the server's words.
        server: Base URL of the server, such as ``http://127.0.0.1:8000/v1``; ``None`` loads the
            model here.
        dtype: Precision of a model that is loaded here.
        revision: Any name of the server's version of the model; change it when its weights change.
        disk_cache: Keep answers in the user's cache folder, where other runs find them.
        api_key_env: Environment variable with the server's key.
        timeout: Seconds that one request may take.
        retries: How often a failed request is made again.
        concurrency: Most requests in flight.
        requests_per_minute: Rate of requests.
        tokens: Most tokens that may be spent in a run; ``None`` sets no limit.
        chat: Ask the server by chat completions.
        prompt_log_probs: How the server gives log-probs of prompts, if it does.
        json_schema: Give the server constraints as JSON schemas.
        extra_body: More fields of every request.
    """

    name: str
    server: str | None = None
    dtype: DType = "auto"
    revision: str = ""
    disk_cache: bool = False
    api_key_env: str = "OPENAI_API_KEY"
    timeout: float = 60.0
    retries: int = 4
    concurrency: int = 8
    requests_per_minute: int | None = None
    tokens: int | None = None
    chat: bool = True
    prompt_log_probs: Literal["echo", "vllm"] | None = None
    json_schema: bool = False
    extra_body: Mapping[str, Any] = field(default_factory=dict)

    def load(self) -> LanguageModel:
        """Return the model, with a memory of its answers.

        Raises:
            ConfigError: The server's address is not safe, or its key is missing.
            MissingExtraError: A server needs the extra ``remote``.
            ModelError: The model cannot be loaded.
        """
        store = Store(cache_folder()) if self.disk_cache else None
        return CachedModel(self._bare(), store=store)

    def _bare(self) -> LanguageModel:
        if self.server is None:
            return load_model(self.name, dtype=self.dtype)
        # Only here, since it needs the extra "remote".
        from dragoman.models.remote import Budget, Connection, Offers, RemoteModel

        return RemoteModel(
            self.name,
            self.server,
            connection=Connection(
                api_key_env=self.api_key_env,
                timeout=self.timeout,
                retries=self.retries,
                concurrency=self.concurrency,
                requests_per_minute=self.requests_per_minute,
            ),
            offers=Offers(
                chat=self.chat,
                prompt_log_probs=self.prompt_log_probs,
                json_schema=self.json_schema,
                extra_body=self.extra_body,
            ),
            budget=Budget(tokens=self.tokens),
            revision=self.revision,
        )
