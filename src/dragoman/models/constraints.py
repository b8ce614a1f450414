"""Texts that parse: which tokens may come next under a constraint."""

from __future__ import annotations

import functools
import json
import weakref
from collections.abc import Sequence
from typing import Any, TypeAlias

import llguidance
import numpy as np
from llguidance.hf import from_tokenizer
from numpy.typing import NDArray

from dragoman.errors import ModelError
from dragoman.generation import Choice, Constraint, Integer, Json
from dragoman.types import BoolArray

Bits: TypeAlias = NDArray[np.uint8]

TEXTS = 4096
"""Texts whose masks are remembered: those of a rollout."""
TRIES = 32
"""Texts that are drawn from a grammar to find one that ends in time."""
PATIENCE = 4
"""So many times the tokens that there are may such a text have, to be told how many it takes."""


class Guide:
    """The state of one text under its constraint.

    Args:
        matcher: Matcher of llguidance at the start of the text.
        line: Tokens that end a text where it may end, and go on with it where the constraint does.
        is_grammar: Whether the text is kept to a grammar that the model is trained under.
    """

    def __init__(self, matcher: Any, line: Sequence[int] = (), *, is_grammar: bool = False) -> None:
        self._matcher = matcher
        self._line = tuple(line)
        self.is_grammar = is_grammar

    @property
    def is_full(self) -> bool:
        """Whether nothing may follow."""
        return bool(self._matcher.is_stopped())

    @property
    def may_end(self) -> bool:
        """Whether the text may end here."""
        return bool(self._matcher.is_accepting())

    def bits(self) -> Bits:
        """Return which tokens may come next, a bit each, the lowest of a byte first."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        if not (self._line and self.may_end):
            return bits
        bits = bits.copy()
        for token in self._line:
            bits[token // 8] |= 1 << token % 8
        return bits

    def allowed(self, vocabulary: int) -> BoolArray:
        """Return which tokens may come next ``(V,)``; at a possible end also the end token."""
        return unpacked(self.bits(), vocabulary)

    def ends_line(self, token: int) -> bool:
        """Return whether a token that was allowed ends the text with its line."""
        return token in self._line and not self._matcher.validate_tokens([token])

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

    Attributes:
        vocabulary: Number of logits of the model.
    """

    def __init__(
        self, tokenizer: Any, end_tokens: tuple[int, ...], vocabulary: int, name: str
    ) -> None:
        added = tokenizer.added_tokens_decoder.values()
        self._controls = sorted(token.content for token in added if token.special)
        self._name = name
        self.vocabulary = vocabulary
        try:
            self._tokenizer = from_tokenizer(
                tokenizer, n_vocab=vocabulary, eos_token=list(end_tokens)
            )
        except (ValueError, TypeError, OverflowError) as error:
            raise ModelError(
                f"the tokenizer of {name!r} cannot be constrained: {error}",
                cure="use a model with a fast tokenizer, or parse the text yourself",
            ) from error

    def guide(self, constraint: Constraint | str) -> Guide:
        """Return the state at the start of a text.

        Args:
            constraint: What the text must be, or what `Grammar.compiled` returned: such a text may
                also end with its line, as models that nobody has taught to end a text do.

        Raises:
            ModelError: The constraint cannot be kept, for example for its JSON schema; or it wants
                a control token of the model's, which would be written as such and not as text.
        """
        self._check_controls(constraint)
        is_grammar = isinstance(constraint, str)
        try:
            grammar = constraint if isinstance(constraint, str) else _grammar(constraint)
            matcher = llguidance.LLMatcher(self._tokenizer, grammar)
            problem = matcher.get_error() if matcher.is_error() else None
        except ValueError as error:
            problem = str(error)
        if problem is not None:
            raise ModelError(
                f"the constraint {constraint!r:.300} cannot be kept: {problem:.300}",
                cure="simplify the constraint",
            )
        return Guide(matcher, self._line if is_grammar else (), is_grammar=is_grammar)

    @functools.cached_property
    def _line(self) -> tuple[int, ...]:
        """The token that ends a line, where there is one for that alone."""
        ids = self._tokenizer.greedy_tokenize("\n")
        return tuple(ids) if len(ids) == 1 else ()

    @functools.cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Bytes of each token's text ``(V,)``."""
        return np.array([len(self._tokenizer.decode_bytes([i])) for i in range(self.vocabulary)])

    def _check_controls(self, constraint: Constraint | str) -> None:
        wanted: tuple[str, ...] = (constraint,) if isinstance(constraint, str) else ()
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


class Replay:
    """Which tokens a grammar allowed, token by token, found again from the text's ids alone.

    Args:
        constrainer: Makes the state at the start of a text.
        grammar: What `Grammar.compiled` returned.
    """

    def __init__(self, constrainer: Constrainer, grammar: str) -> None:
        self._constrainer = constrainer
        self._guide = functools.partial(constrainer.guide, grammar)
        # Texts share most of their masks.
        self._known: weakref.WeakValueDictionary[bytes, Bits] = weakref.WeakValueDictionary()
        self._bits = functools.lru_cache(TEXTS)(self._walk)

    def masks(self, ids: tuple[int, ...]) -> BoolArray:
        """Return which tokens were allowed in the place of each token of a text ``(n, V)``."""
        return unpacked(np.stack(self._bits(ids)), self._constrainer.vocabulary)

    def is_whole(self, ids: tuple[int, ...]) -> bool:
        """Return whether a text came to an end that the grammar allows."""
        guide = self._guide()
        for token in ids:
            if guide.ends_line(token):
                return guide.may_end
            guide.take(token)
        return guide.may_end

    def fewest(self, most: int) -> int | None:
        """Return how many tokens the shortest of some texts has, or nothing where none ended.

        Half of them take the longest tokens, half any; the search ends with the first in time.

        Args:
            most: Tokens that a text has time for.
        """
        draws = np.random.default_rng(0)
        lengths = (self._drawn(draws, most * PATIENCE, long=i % 2 == 0) for i in range(TRIES))
        found = [most * PATIENCE + 1]
        for length in lengths:
            found += [] if length is None else [length]
            if min(found) <= most:
                break
        return min(found) if len(found) > 1 else None

    def _walk(self, ids: tuple[int, ...]) -> tuple[Bits, ...]:
        guide, result = self._guide(), []
        for token in ids:
            bits = guide.bits()
            result.append(self._known.setdefault(bits.tobytes(), bits))
            if not guide.ends_line(token):
                guide.take(token)
        return tuple(result)

    def _drawn(self, draws: np.random.Generator, most: int, *, long: bool) -> int | None:
        """Return the number of tokens of a text that is drawn, or nothing where it does not end."""
        guide = self._guide()
        for length in range(most + 1):
            if guide.may_end or guide.is_full:
                return length if guide.may_end else None
            tokens = np.flatnonzero(guide.allowed(self._constrainer.vocabulary))
            if len(tokens) == 0:
                return None
            if long:
                lengths = self._constrainer.lengths[tokens]
                tokens = tokens[lengths == lengths.max()]
            guide.take(int(draws.choice(tokens)))
        return None


def unpacked(bits: Bits, vocabulary: int) -> BoolArray:
    """Return bits ``(..., V / 8)`` as booleans ``(..., V)``."""
    return np.unpackbits(bits, axis=-1, count=vocabulary, bitorder="little").astype(bool)


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
