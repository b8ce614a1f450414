"""Which language model: the one dataclass for every place of an experiment that names a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import pydantic

from dragoman.errors import ConfigError
from dragoman.models.cache import CachedModel
from dragoman.models.catalog import DType, Weights, cache_folder, load_model
from dragoman.models.store import Store
from dragoman.models.words import WORDS, Words
from dragoman.settings import check_fields
from dragoman.types import LanguageModel


@dataclass(frozen=True)
class ModelSpec:
    """A language model on this machine, behind an OpenAI-compatible server, or ``words``.

    In a file, a name alone stands for a model with defaults: ``model: words``.

    Attributes:
        name: A catalogue name, a Transformers hub name or a local path; ``words``, which knows
            nothing (`dragoman.models.words.Words`); or the model in the server's words.
        dtype: ``bfloat16`` is two to five times as fast as ``float32`` on processors that have
            it, and many times as slow on others; ``auto`` takes it where it is native.
        device: Where the model computes, in PyTorch's words.
        threads: Threads of PyTorch, set by the experiment's own model; measured before the
            training unless given.
        compile: Compile the model's blocks, which takes minutes at the start.
        trust_remote_code: Run Python code that comes with the model.
        disk_cache: Share answers with other runs through a file in the user's cache folder. An
            answer that another run has computed may differ in its last digits.
        weights: ``random`` keeps architecture and tokenizer but none of the training: the
            control that separates knowledge from architecture.
        seed: Names the draw of random weights; ``None`` takes the seed of the training.
        server: Base URL of the server, such as ``http://127.0.0.1:8000/v1``; ``None`` loads the
            model here. What follows is for servers alone.
        revision: Any name of the server's version of the model; change it when its weights change.
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
        adapters: Folder that this machine and the server both see, by the same path. A training
            writes each version of what it has learnt there, and the server loads it (act.writer).
    """

    name: str = "smollm2-135m"
    dtype: DType = "auto"
    device: str = "cpu"
    threads: int | None = None
    compile: bool = False
    trust_remote_code: bool = False
    disk_cache: bool = False
    weights: Weights = "pretrained"
    seed: int | None = None
    server: str | None = None
    revision: str = ""
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
    adapters: str | None = None

    def __post_init__(self) -> None:
        check_fields(self, "model")
        if self.server is not None and self.weights == "random":
            raise ConfigError(
                f"weights of the model {self.name!r} are random, but those behind {self.server} "
                "cannot be drawn",
                cure="leave weights out, and the control random-weights out of 'controls'",
            )

    def check_encoding(self, role: str, layer: int | None, pooling: Sequence[str]) -> None:
        """Refuse a layer or poolings of a server, which gives one embedding a text.

        Args:
            role: Which role reads with it, for the message.
            layer: What the role asks for.
            pooling: What the role asks for.
        """
        holder = "observe" if role == "act" else role
        if self.server is not None and (layer is not None or tuple(pooling) != ("last",)):
            raise ConfigError(
                f"{role} asks for layer {layer} and pooling {list(pooling)}, but the server "
                f"{self.server} gives one embedding a text, pooled as it likes",
                cure=f"set {role}.pooling to [last] and {holder}.layer to null, or use a model "
                "that is loaded here",
            )

    def check_scoring(self, role: str = "act") -> None:
        """Refuse a model that is known not to score texts.

        Args:
            role: Which role asks for scores, for the message.
        """
        if self.knows_nothing or (self.server is not None and self.prompt_log_probs is None):
            raise ConfigError(
                f"{role} asks how likely the model {self.name!r} finds texts, but it is not known "
                "to give log-probs of them",
                cure="set model.prompt_log_probs where the server has them, "
                + ("choose policy 'head' or 'match'" if role == "act" else f"leave {role} out")
                + ", or use a model that is loaded here",
            )

    def check_training(self) -> None:
        """Refuse a model whose weights are not in this process."""
        if self.server is not None or self.knows_nothing:
            raise ConfigError(
                f"act.tune trains the model {self.name!r}, which has no weights here",
                cure="name a model that is loaded here, or leave act.tune out",
            )

    @property
    def knows_nothing(self) -> bool:
        """Whether it is ``words``, which is a control itself."""
        return self.name == WORDS and self.server is None

    def load(self, seed: int = 0, adapter: Path | None = None) -> LanguageModel:
        """Return the model, with a memory of its answers.

        Args:
            seed: Draws random weights, unless the settings name a seed.
            adapter: Folder with an adapter to work into its weights, if it is loaded here.

        Raises:
            ConfigError: The server's address is not safe, or its key is missing.
            MissingExtraError: A server needs the extra ``remote``.
            ModelError: The model cannot be loaded.
        """
        if self.knows_nothing:
            return Words()
        store = Store(cache_folder()) if self.disk_cache else None
        made = self._remote() if self.server else self._local(seed, adapter)
        return CachedModel(made, store=store)

    def _local(self, seed: int, adapter: Path | None) -> LanguageModel:
        return load_model(
            self.name,
            dtype=self.dtype,
            device=self.device,
            compile=self.compile,
            trust_remote_code=self.trust_remote_code,
            weights=self.weights,
            seed=seed if self.seed is None else self.seed,
            **({} if adapter is None else {"adapter": adapter}),
        )

    def _remote(self) -> LanguageModel:
        # Only here, since it needs the extra "remote".
        from dragoman.models.remote import Budget, Connection, RemoteModel, ServerFeatures

        assert self.server is not None
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
            offers=ServerFeatures(
                chat=self.chat,
                prompt_log_probs=self.prompt_log_probs,
                json_schema=self.json_schema,
                extra_body=self.extra_body,
            ),
            budget=Budget(tokens=self.tokens),
            revision=self.revision,
        )


_KEYS = [key.name for key in fields(ModelSpec)]
_OF_SERVERS = _KEYS[_KEYS.index("server") :]


def _by_name(data: Any) -> Any:
    """Let a name stand for a model with defaults."""
    return {"name": data} if isinstance(data, str) else data


def _short(spec: ModelSpec, dump: pydantic.SerializerFunctionWrapHandler) -> Any:
    """Return a model as plain data, without the settings of a server where it has none."""
    dumped = dump(spec)
    if dumped["server"] is not None:
        return dumped
    return {key: value for key, value in dumped.items() if key not in _OF_SERVERS}


NamedModel: TypeAlias = Annotated[
    ModelSpec, pydantic.BeforeValidator(_by_name), pydantic.WrapSerializer(_short)
]
"""A model as files name it: a `ModelSpec`, or its name alone."""
