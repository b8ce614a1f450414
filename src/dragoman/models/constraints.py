"""Texts that parse: which tokens may come next under a constraint."""

from __future__ import annotations

import functools
import json
from typing import Any

import llguidance
import numpy as np
from llguidance.hf import from_tokenizer

from dragoman.errors import ModelError
from dragoman.generation import Choice, Constraint, Integer, Json
from dragoman.types import BoolArray


class Guide:
    """The state of one text under its constraint.

    Args:
        matcher: Matcher of llguidance at the start of the text.
    """

    def __init__(self, matcher: Any) -> None:
        self._matcher = matcher

    @property
    def is_full(self) -> bool:
        """Whether nothing may follow."""
        return bool(self._matcher.is_stopped())

    def allowed(self, vocabulary: int) -> BoolArray:
        """Return which tokens may come next ``(V,)``; at a possible end also the end token."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        return np.unpackbits(bits, count=vocabulary, bitorder="little").astype(bool)

    def take(self, token: int) -> None:
        """Go on to the state after a token that was allowed."""
        if not self._matcher.consume_token(token):
            raise ModelError(
                f"token {token} breaks the constraint: {self._matcher.get_error()}",
                cure="report this with the constraint and the model's name",
            )


class Constrainer:
    """Makes guides for the texts of one tokenizer.

    Args:
        tokenizer: A fast tokenizer of Transformers.
        end_tokens: Tokens that end a text.
        vocabulary: Number of logits of the model.
        name: What the model was loaded by.
    """

    def __init__(
        self, tokenizer: Any, end_tokens: tuple[int, ...], vocabulary: int, name: str
    ) -> None:
        added = tokenizer.added_tokens_decoder.values()
        self._controls = sorted(token.content for token in added if token.special)
        self._name = name
        try:
            self._tokenizer = from_tokenizer(
                tokenizer, n_vocab=vocabulary, eos_token=list(end_tokens)
            )
        except (ValueError, TypeError, OverflowError) as error:
            raise ModelError(
                f"the tokenizer of {name!r} cannot be constrained: {error}",
                cure="use a model with a fast tokenizer, or parse the text yourself",
            ) from error

    def guide(self, constraint: Constraint) -> Guide:
        """Return the state at the start of a text.

        Raises:
            ModelError: The constraint cannot be kept, for example for its JSON schema; or it wants
                a control token of the model's, which would be written as such and not as text.
        """
        self._check_controls(constraint)
        try:
            matcher = llguidance.LLMatcher(self._tokenizer, _grammar(constraint))
            problem = matcher.get_error() if matcher.is_error() else None
        except ValueError as error:
            problem = str(error)
        if problem is not None:
            raise ModelError(
                f"the constraint {constraint!r:.300} cannot be kept: {problem:.300}",
                cure="simplify the constraint",
            )
        return Guide(matcher)

    def _check_controls(self, constraint: Constraint) -> None:
        wanted: tuple[str, ...] = ()
        if isinstance(constraint, Choice):
            wanted = constraint.options
        elif isinstance(constraint, Json):
            wanted = (constraint.schema,)
        for text in wanted:
            for control in self._controls:
                if control in text:
                    raise ModelError(
                        f"{self._name!r} is to write {text[:200]!r}, but {control!r} is a control "
                        "token of it, and no text",
                        cure="call it by other words",
                    )


@functools.lru_cache(maxsize=64)
def _grammar(constraint: Constraint) -> str:
    if isinstance(constraint, Choice):
        # Lark writes its literals as JSON does.
        options = " | ".join(json.dumps(option) for option in constraint.options)
        return llguidance.LLMatcher.grammar_from_lark(f"start: {options}")
    schema: Any = (
        {"type": "integer", "minimum": constraint.minimum, "maximum": constraint.maximum}
        if isinstance(constraint, Integer)
        else json.loads(constraint.schema)
    )
    # Free white space would let a model write blanks for ever.
    compact: Any = {"whitespace_flexible": False}
    return llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema), defaults=compact)
