"""The grammar that a written action is held to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic

from dragoman.errors import ConfigError
from dragoman.settings import check_fields


@dataclass(frozen=True)
class Grammar:
    r"""The text is one of a formal language: written as a grammar, a pattern or a schema.

    >>> Grammar(regex="(left|right) [1-9]").compiled()
    '{"grammars": [{"lark_grammar": "start: /(left|right) [1-9]/"}]}'

    Attributes:
        lark: A context-free grammar, in the language of Lark as llguidance reads it; its rule
            ``start`` is the whole text.
        regex: A regular expression, of the whole text.
        json_schema: The JSON schema of a text that is JSON, without free white space.
    """

    lark: str | None = None
    regex: str | None = None
    json_schema: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_fields(self, "grammar")
        given = [key for key in GRAMMARS if getattr(self, key) is not None]
        if len(given) != 1:
            raise ConfigError(
                f"a grammar is given by {' and '.join(given) or 'nothing'}",
                cure=f"give one of {', '.join(GRAMMARS)}",
            )
        from llguidance import LLMatcher

        problem = LLMatcher.validate_grammar(self.compiled())
        if problem:
            raise ConfigError(
                f"the {given[0]} {getattr(self, given[0])!r:.300} is no grammar: {problem:.500}",
                cure="mend it; https://github.com/guidance-ai/llguidance describes the language",
            )

    def compiled(self, before: str = "") -> str:
        """Return the grammar as llguidance takes it, of texts behind something that is fixed."""
        from llguidance import LLMatcher

        own: dict[str, Any] = {"lark_grammar": self.lark}
        if self.regex is not None:
            own = {"lark_grammar": _lark_of(LLMatcher.grammar_from_regex(self.regex))}
        if self.json_schema is not None:
            # Free white space would let a model write blanks for ever.
            schema = {**self.json_schema, "x-guidance": {"whitespace_flexible": False}}
            own = {"json_schema": schema}
        # Lark writes its literals as JSON does.
        whole = {"lark_grammar": f"start: {json.dumps(before)} @text"}
        return json.dumps({"grammars": [whole, {"name": "text", **own}] if before else [own]})


GRAMMARS = ("lark", "regex", "json_schema")


def _lark_of(grammar: str) -> str:
    """Return the one grammar in Lark that llguidance has made of a pattern."""
    result: str = json.loads(grammar)["grammars"][0]["lark_grammar"]
    return result


def _read_grammar(value: Any) -> Any:
    """Return the grammar that a text is, or that lies in a file."""
    if not isinstance(value, str):
        return value
    if not value.endswith(".lark"):
        return {"lark": value}
    try:
        return {"lark": Path(value).read_text(encoding="utf-8")}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"act.grammar names the file {value!r}, which cannot be read: {error}",
            cure="name a file with a grammar in Lark, or write it here",
        ) from error


BY_FILE = pydantic.BeforeValidator(_read_grammar)
"""Lets a grammar in Lark stand for itself, or in a file whose text the settings then hold."""
