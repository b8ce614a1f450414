"""What to ask a language model to write, and what it has written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dragoman.errors import ConfigError, ModelError


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen.

    Attributes:
        max_tokens: Most tokens of one text, its end token included.
        temperature: 0 takes the likeliest token; 1 draws from the model's own distribution.
        top_p: Draw only from the likeliest tokens that together have this probability
            (nucleus sampling, Holtzman et al., 2020).
        stop: The text ends before the first of these strings.
        seed: Names the draw. A text depends on its prompt, these settings and nothing else, so
            two draws for one prompt take two seeds.
    """

    max_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("max_tokens", "temperature", "top_p"):
            value = getattr(self, name)
            if not isinstance(value, int | float):
                raise ConfigError(f"{name} is {value!r}, but must be a number", cure=f"mend {name}")
        for name, value, holds, rule in (
            ("max_tokens", self.max_tokens, self.max_tokens >= 1, "at least 1"),
            ("temperature", self.temperature, self.temperature >= 0, "at least 0"),
            ("top_p", self.top_p, 0 < self.top_p <= 1, "above 0 and at most 1"),
            ("stop", self.stop, all(self.stop), "of strings that are not empty"),
        ):
            if not holds:
                raise ConfigError(f"{name} is {value!r}, but must be {rule}", cure=f"mend {name}")


@dataclass(frozen=True)
class Choice:
    """The text is one of these.

    Attributes:
        options: Texts to choose from.
    """

    options: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.options or not all(self.options):
            raise ConfigError(
                f"the options of a choice are {self.options!r}",
                cure="give at least one, and none that is empty",
            )


@dataclass(frozen=True)
class Integer:
    """The text is a whole number in decimal digits.

    Attributes:
        minimum: Smallest number allowed.
        maximum: Largest number allowed.
    """

    minimum: int
    maximum: int

    def __post_init__(self) -> None:
        if self.minimum > self.maximum:
            raise ConfigError(
                f"no integer lies between {self.minimum} and {self.maximum}",
                cure="swap minimum and maximum",
            )


@dataclass(frozen=True)
class Json:
    """The text is JSON of a schema.

    Attributes:
        schema: The JSON schema, as JSON text.
    """

    schema: str

    def __post_init__(self) -> None:
        try:
            json.loads(self.schema)
        except ValueError as error:
            raise ConfigError(
                f"the JSON schema {self.schema[:60]!r} is not JSON: {error}", cure="mend the schema"
            ) from error


class ChatPrompt(str):
    r"""A prompt of which some parts may speak to the model in control tokens.

    In any other text a string such as ``<|im_end|>`` is plain text. `TorchModel.chat`
    makes one by the model's own template; make one yourself for a server that continues prompts
    as they are.

    >>> prompt = ChatPrompt(["<|user|>\n", "what an <|end|> is", "<|end|>\n<|assistant|>\n"])
    >>> prompt
    '<|user|>\nwhat an <|end|> is<|end|>\n<|assistant|>\n'
    >>> prompt == str(prompt)
    False

    Args:
        parts: Parts of the template and what is said in it, in turn, the template's first.
    """

    parts: tuple[str, ...]

    def __new__(cls, parts: Iterable[str]) -> ChatPrompt:  # noqa: D102
        own = tuple(parts)
        made = super().__new__(cls, "".join(own))
        made.parts = own
        return made

    def __getnewargs__(self) -> tuple[tuple[str, ...]]:  # type: ignore[override]
        return (self.parts,)

    def __str__(self) -> str:
        return "".join(self.parts)

    # The same characters, said in other parts, are read as other tokens.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, ChatPrompt) and self.parts == other.parts

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.parts)

    def spans(self) -> Iterator[tuple[str, bool]]:
        """Return each part, and whether it is the template's."""
        return ((part, i % 2 == 0) for i, part in enumerate(self.parts))

    def __add__(self, text: str) -> ChatPrompt:
        """Return the prompt and a text that follows it, as something said."""
        if len(self.parts) % 2:
            return ChatPrompt((*self.parts, text))
        return ChatPrompt((*self.parts[:-1], self.parts[-1] + text))


def check_characters(text: str) -> None:
    """Check that a text can be written as UTF-8.

    Raises:
        ModelError: It has half of a surrogate pair, which is no character.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ModelError(
            f"the text {text[:60]!r} has {text[error.start]!r} at {error.start}, half of a pair "
            "and no character",
            cure="decode it with errors='replace' where it comes from",
        ) from error


Constraint: TypeAlias = Choice | Integer | Json


@dataclass(frozen=True)
class Generation:
    """One text that a model has written.

    Attributes:
        text: The text, without its stop string or end token.
        log_probs: Log-prob of every token that was written, float32 ``(n,)``, the end token
            included: under the model's own distribution, at temperature 1 and unconstrained; where
            a grammar was kept, over the tokens that it allowed.
        finish: Whether an end token, a stop string or a full constraint ended the text, or its
            length did.
        tokens: Their ids, so that the text need not be cut again; empty where a server
            does not say.
    """

    text: str
    log_probs: NDArray[np.float32] = field(repr=False, compare=False)
    finish: Literal["stop", "length"]
    tokens: tuple[int, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class ServedText(Generation):
    """A text that a server has written with an adapter.

    Attributes:
        version: Which version of it the server says that it was.
    """

    version: int = 0
