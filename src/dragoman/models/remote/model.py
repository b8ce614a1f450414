"""A language model behind an OpenAI-compatible server."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Self

import numpy as np

from dragoman.errors import ConfigError, ModelError
from dragoman.generation import Constraint, Generation, Sampling, ServedText
from dragoman.models.remote.answers import ScoredText
from dragoman.models.remote.budget import Budget, Spend
from dragoman.models.remote.questions import (
    TEXTS_A_REQUEST,
    ServerFeatures,
    command,
    embedding,
    scoring,
    writing,
    writing_ids,
)
from dragoman.models.remote.server import Connection, Server
from dragoman.types import Cost, FloatArray, Pooling

OPENAI_URL = "https://api.openai.com/v1"


class RemoteModel:
    """A language model behind an OpenAI-compatible server.

    Equal prompts of one call are asked once. What the server says is checked: an answer that is
    no JSON, lacks what it should hold or does not fit its constraint is asked for again, like a
    request that failed, and then is one `ModelError`.

    Args:
        name: The model, in the server's words.
        base_url: The server, such as ``http://127.0.0.1:8000/v1``.
        connection: How the server is reached: key, timeout, retries, rates.
        offers: What the server offers.
        budget: What may be spent. A request that could exceed it is not sent.
        revision: Any name of the model's version. It counts in the fingerprint, so change it
            when the server's weights have changed.

    Raises:
        ConfigError: The URL is not safe, or the environment holds no API key.
        MissingExtraError: The extra ``remote`` is not installed.
    """

    def __init__(
        self,
        name: str,
        base_url: str = OPENAI_URL,
        *,
        connection: Connection = Connection(),
        offers: ServerFeatures = ServerFeatures(),
        budget: Budget = Budget(),
        revision: str = "",
    ) -> None:
        self._name = name
        self._offers = offers
        self._revision = revision
        self._server = Server(base_url, name, connection, budget)
        self._hidden_size: int | None = None
        self._texts = 0
        self._seconds = 0.0

    def __repr__(self) -> str:
        return f"RemoteModel({self._name!r}, {self._server.url!r})"

    @property
    def name(self) -> str:
        """The model, in the server's words."""
        return self._name

    @property
    def fingerprint(self) -> str:
        """Digest of URL, model, declared revision and offers.

        It cannot know whether the server has changed its weights, precision or chat template
        behind that name, nor does any server promise equal answers to equal requests.
        """
        known = (self._server.url, self._name, self._revision, sorted(asdict(self._offers).items()))
        return f"remote {hashlib.blake2b(repr(known).encode(), digest_size=16).hexdigest()}"

    @property
    def hidden_size(self) -> int:
        """Width ``H`` of one embedding; asks the server for one where none has come yet."""
        if self._hidden_size is None:
            self._hidden_size = self._embed(["width"]).shape[1]
        return self._hidden_size

    @property
    def num_layers(self) -> int:
        """0: a server gives one vector a text and no layers to choose from."""
        return 0

    @property
    def cost(self) -> Cost:
        """What was asked so far; tokens as the server counted them, read and written."""
        return Cost(texts=self._texts, tokens=self.spend.tokens, seconds=self._seconds)

    @property
    def spend(self) -> Spend:
        """What was spent of the budget so far, failed requests included.

        A resumed training puts in what was spent before it.
        """
        return replace(self._server.account.spend)

    @spend.setter
    def spend(self, spend: Spend) -> None:
        self._server.account.spend = spend

    def close(self) -> None:
        """Close the connections; the model cannot be asked any more."""
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def generate(
        self,
        prompts: Sequence[str],
        *,
        sampling: Sampling = Sampling(),
        constraint: Constraint | None = None,
    ) -> list[Generation]:
        """Return one text for each prompt.

        The seed is passed on, but only the server knows whether it keeps to it. A text that
        does not fit the constraint is asked for again, by other seeds. Log-probs are the
        server's: of every token that it wrote, which with a ``response_format`` are those of
        the JSON around the answer too, and mostly without an end token.

        Args:
            prompts: ``B`` texts.
            sampling: How tokens are chosen.
            constraint: What the text must be.

        Raises:
            BudgetError: A request could exceed the budget.
            ModelError: The server fails, refuses, or writes nothing that fits the constraint.
            ConfigError: The constraint's schema is not a JSON schema.
        """
        distinct = list(dict.fromkeys(prompts))
        with self._metered(len(prompts)):
            texts = self._server.ask(
                [
                    writing(self._name, self._offers, prompt, sampling, constraint)
                    for prompt in distinct
                ]
            )
        result = dict(zip(distinct, texts, strict=True))
        return [result[prompt] for prompt in prompts]

    def write(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        seeds: Sequence[int],
        *,
        adapter: str,
        ends: Sequence[int],
        versions: Mapping[str, int],
    ) -> list[ServedText]:
        """Return what an adapter writes after each prompt of token ids, with its log-probs.

        Args:
            prompts: Token ids of ``B`` prompts, whole.
            sampling: How tokens are chosen; its seed is not looked at.
            seeds: One for each prompt.
            adapter: Name that it was loaded under.
            ends: Tokens that end a text.
            versions: Versions of the adapter, by all names that it was loaded under.

        Raises:
            BudgetError: A request could exceed the budget.
            ModelError: The server fails, gives no ids or log-probs, or answers as another model.
        """
        asked = [
            writing_ids(adapter, self._offers, ids, replace(sampling, seed=seed), ends, versions)
            for ids, seed in zip(prompts, seeds, strict=True)
        ]
        with self._metered(len(prompts)):
            return self._server.ask(asked)

    def load_adapter(self, name: str, folder: Path) -> None:
        """Let the server load an adapter in PEFT's format, as vLLM does, under a new name.

        Raises:
            ModelError: It does not.
        """
        body = {"lora_name": name, "lora_path": str(folder)}
        self._server.ask([command("load_lora_adapter", body)])

    def unload_adapter(self, name: str) -> None:
        """Let the server forget the adapter of that name.

        Raises:
            ModelError: It does not.
        """
        self._server.ask([command("unload_lora_adapter", {"lora_name": name})])

    def token_log_probs(
        self, prompts: Sequence[str], candidates: Sequence[Sequence[str]]
    ) -> list[list[FloatArray]]:
        """Return the log-prob of every token of every candidate, after its prompt.

        The server cuts prompt and candidate into tokens together, and the prompt alone. The
        tokens that count start where one of the candidates' tokens parts from the prompt's, as
        in `Tokens.continuations`. Each distinct text is one request.

        Args:
            prompts: ``B`` texts.
            candidates: Candidate texts of each prompt; their numbers may differ.

        Returns:
            For each prompt and candidate, a float32 array with one log-prob a token.

        Raises:
            ConfigError: A candidate is empty, or there are not as many lists as prompts.
            BudgetError: A request could exceed the budget.
            ModelError: The server does not give log-probs of prompts, or fails.
        """
        self._check_candidates(prompts, candidates)
        pairs = list(zip(prompts, candidates, strict=True))
        texts = [
            text
            for prompt, own in pairs
            if own
            for text in (prompt, *(prompt + item for item in own))
        ]
        distinct = list(dict.fromkeys(texts))
        with self._metered(sum(map(len, candidates))):
            scored = self._server.ask(
                [scoring(self._name, self._offers, text) for text in distinct]
            )
        known = dict(zip(distinct, scored, strict=True))
        return [self._after(known, prompt, own) for prompt, own in pairs]

    def encode(
        self,
        texts: Sequence[str],
        *,
        layer: int | None = None,
        pooling: Sequence[Pooling] = ("last",),
    ) -> FloatArray:
        """Return one embedding a text.

        Args:
            texts: ``B`` texts.
            layer: ``None``, since the server gives no layers to choose from.
            pooling: ``("last",)``, the default, which here stands for the server's own pooling,
                whatever that is.

        Returns:
            float32 array ``(B, H)``.

        Raises:
            ConfigError: Another layer or pooling is asked for.
            BudgetError: A request could exceed the budget.
            ModelError: The server has no embeddings, or fails.
        """
        if layer is not None or tuple(pooling) != ("last",):
            raise ConfigError(
                f"layer is {layer} and pooling is {tuple(pooling)}, but the server of "
                f"{self._name!r} pools and chooses the layer itself",
                cure="leave layer None and pooling ('last',), or use a local model",
            )
        with self._metered(len(texts)):
            if not texts:
                return np.empty((0, self.hidden_size), np.float32)
            distinct = list(dict.fromkeys(texts))
            vectors = self._embed(distinct)
        where = {text: row for row, text in enumerate(distinct)}
        return vectors[[where[text] for text in texts]]

    def _embed(self, texts: Sequence[str]) -> FloatArray:
        batches = [
            texts[start : start + TEXTS_A_REQUEST]
            for start in range(0, len(texts), TEXTS_A_REQUEST)
        ]
        result = self._server.ask([embedding(self._name, batch) for batch in batches])
        widths = {rows.shape[1] for rows in result} | {self._hidden_size or result[0].shape[1]}
        if len(widths) > 1:
            raise ModelError(
                f"the server {self._server.url} gave embeddings of {self._name!r} of different "
                f"widths {sorted(widths)}",
                cure="check that one model answers behind this name",
            )
        (self._hidden_size,) = widths
        return np.concatenate(result)

    def _check_candidates(
        self, prompts: Sequence[str], candidates: Sequence[Sequence[str]]
    ) -> None:
        if len(prompts) != len(candidates):
            raise ConfigError(
                f"there are {len(prompts)} prompts and {len(candidates)} lists of candidates",
                cure="give one list of candidates for each prompt",
            )
        if not all(all(own) for own in candidates):
            raise ConfigError("a candidate is empty", cure="give every candidate some text")
        if self._offers.prompt_log_probs is None:
            raise ModelError(
                f"the server {self._server.url} is not known to give log-probs of prompts, so "
                f"{self._name!r} cannot score candidates",
                cure="set prompt_log_probs in ServerFeatures where the server has them "
                "or score with a local model",
            )

    def _after(
        self, known: Mapping[str, ScoredText], prompt: str, candidates: Sequence[str]
    ) -> list[FloatArray]:
        """Return the log-probs of each candidate's tokens after the common cut."""
        if not candidates:
            return []
        together = [known[prompt + candidate] for candidate in candidates]
        cut = _common_length([known[prompt].tokens, *(item.tokens for item in together)])
        for candidate, one in zip(candidates, together, strict=True):
            if not one.log_probs[cut:]:
                raise ConfigError(
                    f"the candidate {candidate!r} has no token on the server "
                    f"{self._server.url}, so nothing of it can be scored",
                    cure="give every candidate some text that the model can read",
                )
        if any(item.log_probs[cut:][:1] == (None,) for item in together):
            raise ModelError(
                f"the server {self._server.url} gives no log-prob for the first token of "
                f"{prompt[:60]!r} followed by a candidate",
                cure="begin the prompt with words that do not touch the candidate",
            )
        return [np.array(item.log_probs[cut:], np.float32) for item in together]

    @contextmanager
    def _metered(self, texts: int) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._texts += texts
            self._seconds += time.perf_counter() - started


def _common_length(sequences: Sequence[Sequence[Hashable]]) -> int:
    columns = zip(*sequences, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda column: len(set(column)) == 1, columns))
