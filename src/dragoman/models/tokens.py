"""Texts to token ids, and the boundary between a prompt and what may follow it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dragoman.errors import ConfigError, ModelError
from dragoman.generation import ChatPrompt
from dragoman.models.control import TextReader, added_around
from dragoman.models.prefix import common_length

if TYPE_CHECKING:
    from dragoman.models.constraints import Constrainer


@dataclass(frozen=True)
class Continuations:
    """One prompt and its candidates, cut where all their tokens still agree with the prompt's.

    Attributes:
        prompt: Token ids before the cut, at least one.
        candidates: Token ids after the cut, of each candidate.
    """

    prompt: list[int]
    candidates: list[list[int]]


class Tokens:
    """A tokenizer, asked the way Dragoman asks.

    Control tokens inside a text are read as text, see `TextReader`.

    Args:
        tokenizer: A tokenizer of Transformers. Its padding side and token are never used.
        name: What the model was loaded by.
        context: Most tokens that the model reads, if it has such a limit.
    """

    def __init__(self, tokenizer: Any, name: str, context: int | None) -> None:
        self._tokenizer = tokenizer
        self.name = name
        self._context = context
        self._reader = TextReader(tokenizer, name)

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of Transformers."""
        return self._tokenizer

    @property
    def end(self) -> int | None:
        """The token that the tokenizer ends a text with, if it knows one."""
        token = self._tokenizer.eos_token_id
        return None if token is None else int(token)

    def text(self, ids: Sequence[int]) -> str:
        """Return the text of token ids, without special tokens."""
        text: str = self._tokenizer.decode(
            list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def constrainer(self, end_tokens: tuple[int, ...], vocabulary: int) -> Constrainer:
        """Return what keeps texts to a constraint; it takes about a second to make.

        Args:
            end_tokens: Tokens that end a text.
            vocabulary: Number of logits of the model.
        """
        from dragoman.models.constraints import Constrainer

        return Constrainer(self._tokenizer, end_tokens, vocabulary, self.name)

    def definition(self) -> str:
        """Return everything that decides how texts are cut, as text."""
        around = self._ids(["", "a"], special=True)
        known = (self.marks(), around, sorted(self._reader.control), self._chat_template)
        return f"{type(self._tokenizer).__name__} {known} {self._reader.definition}"

    def marks(self) -> tuple[int | None, ...]:
        """Return the tokens that stand for the start, the end and the unknown."""
        own = self._tokenizer
        return own.bos_token_id, own.eos_token_id, own.unk_token_id

    def forget(self) -> None:
        """Read the tokenizer again, which may have been changed."""
        self._reader = TextReader(self._tokenizer, self.name)
        self.__dict__.pop("_closing", None)

    @property
    def _chat_template(self) -> Any:
        return getattr(self._tokenizer, "chat_template", None)

    def of(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, with the special tokens the tokenizer adds.

        Raises:
            ModelError: A text is longer than the context, or has no token at all.
        """
        tokens = self._ids(texts, special=True)
        for i, text in enumerate(texts):
            tokens[i] = tokens[i] or [self.start(text)]
            self._check_length(tokens[i], text)
        return tokens

    def openings(self, texts: Sequence[str], *, room: int, closed: bool) -> list[list[int]]:
        """Return the token ids of each text, to go on from or for a decoder to answer.

        Args:
            texts: The texts.
            room: Tokens that will follow in the same context.
            closed: Keep what the tokenizer adds at the end of a finished text.

        Raises:
            ModelError: A text and the room behind it are longer than the context.
        """
        tokens = self.of(texts)
        if closed:
            return tokens
        opened = [
            self._open_end(ids) or [self.start(text)]
            for ids, text in zip(tokens, texts, strict=True)
        ]
        for ids, text in zip(opened, texts, strict=True):
            self._check_length(ids, text, room=room)
        return opened

    def chat(self, text: str) -> ChatPrompt:
        """Return a text as what a user says, up to where the model's answer begins.

        Control tokens of the template are control tokens; those in the text are text.

        Raises:
            ModelError: The tokenizer has no chat template, or one that rewrites the text.
        """
        if not self._chat_template:
            raise ModelError(
                f"{self.name!r} has no chat template",
                cure="set act.chat to false, or use a model that was trained to chat",
            )
        said = self._reader.chat(text)
        # What the tokenizer adds by itself must not stand there twice.
        start = self._tokenizer.bos_token
        adds = start is not None and self._ids(["a"], special=True)[0][:1] == [
            self._tokenizer.bos_token_id
        ]
        return ChatPrompt([said.parts[0].removeprefix(start), *said.parts[1:]]) if adds else said

    def continuations(self, prompt: str, candidates: Sequence[str]) -> Continuations:
        """Return the tokens of a prompt and of what may follow it; see `all_continuations`."""
        return self.all_continuations([(prompt, candidates)])[0]

    def all_continuations(self, pairs: Sequence[tuple[str, Sequence[str]]]) -> list[Continuations]:
        """Return the tokens of prompts and of what may follow each.

        Prompt and candidate are cut into tokens **together**, as the model has read them in its
        training. A token may then span the boundary (``"go "`` and ``"left"`` become ``"go"``
        and ``" left"``). The cut is therefore made before the first such token, at the same
        place for every candidate of the prompt, so that their log-probs stay comparable: each
        is the log-prob of the whole text after the cut.

        Raises:
            ConfigError: A candidate is empty, or the tokenizer drops all of it.
            ModelError: Prompt and candidate are longer than the context.
        """
        if not all(all(candidates) for _, candidates in pairs):
            raise _no_token("")
        texts = [[prompt, *(prompt + own for own in candidates)] for prompt, candidates in pairs]
        ids = iter(self._ids([text for own in texts for text in own], special=True))
        return [
            self._continuations(candidates, own, [next(ids) for _ in own])
            for (_, candidates), own in zip(pairs, texts, strict=True)
        ]

    def _continuations(
        self, candidates: Sequence[str], texts: Sequence[str], tokens: Sequence[list[int]]
    ) -> Continuations:
        """Return one prompt's, of the tokens of its text and of its text before each candidate."""
        (prompt, *joined), (alone, *together) = texts, map(self._open_end, tokens)
        if not candidates:
            head = alone or [self.start(prompt)]
            self._check_length(head, prompt)
            return Continuations(head, [])
        cut = min(common_length(alone, ids) for ids in together)
        for candidate, ids in zip(candidates, together, strict=True):
            if not ids[cut:]:
                raise _no_token(candidate)
        # The first token needs something before it.
        head = alone[:cut] or [self.start(prompt)]
        for ids, text in zip(together, joined, strict=True):
            self._check_length(ids, text)
        return Continuations(head, [ids[cut:] for ids in together])

    def plain_candidates(self, candidates: Sequence[str]) -> list[list[int]]:
        """Return the token ids of candidates by themselves, without special tokens.

        Raises:
            ConfigError: A candidate has no token.
        """
        tokens = self._ids(candidates, special=False)
        for candidate, ids in zip(candidates, tokens, strict=True):
            if not ids:
                raise _no_token(candidate)
        return tokens

    def start(self, text: str = "") -> int:
        """Return the token that stands where a text has none before it."""
        for token in (self._tokenizer.bos_token_id, self._tokenizer.eos_token_id):
            if token is not None:
                return int(token)
        raise ModelError(
            f"the text {text!r} has no token, and {self.name!r} has no token for an empty text",
            cure="describe every observation with at least one word",
        )

    def _ids(self, texts: Sequence[str], *, special: bool) -> list[list[int]]:
        return self._reader.ids(texts, special=special)

    def _open_end(self, ids: list[int]) -> list[int]:
        """Return tokens without what the tokenizer adds at the end of a finished text."""
        return ids[: len(ids) - self._closing] if self._closing else ids

    @functools.cached_property
    def _closing(self) -> int:
        """Number of tokens that the tokenizer adds at the end of a text."""
        (plain,), (special,) = self._ids(["a"], special=False), self._ids(["a"], special=True)
        return len(added_around(plain, special)[1])

    def _check_length(self, ids: list[int], text: str, room: int = 0) -> None:
        if self._context is not None and len(ids) + room > self._context:
            following = f" and {room} to follow" if room else ""
            raise ModelError(
                f"a text of {len(ids)} tokens{following} is longer than the context of "
                f"{self._context} tokens of {self.name!r}: {text[:60]!r}...",
                cure="describe less, with fewer digits, or use a model with a longer context",
            )


def _no_token(candidate: str) -> ConfigError:
    return ConfigError(
        f"the candidate {candidate!r} has no token, so nothing of it can be scored",
        cure="give every candidate some text that the model can read",
    )
