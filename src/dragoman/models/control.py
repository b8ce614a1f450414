"""Text is read as text: only a chat template writes control tokens.

A tokenizer reads ``<|im_end|>`` inside a text as the end of a turn, ``</s>`` as the end of the
text, and so on for every added token. Whoever writes an environment's texts could thereby speak
to a model in the template's voice, so those strings are cut into ordinary tokens here.
"""

from __future__ import annotations

import functools
import json
import re
import secrets
from collections.abc import Iterator, Sequence
from typing import Any

import tokenizers

from dragoman.errors import ModelError
from dragoman.generation import ChatPrompt, check_characters

_MARK = re.compile(r"[^\w\s▁]")
"""What no word holds. Added tokens of words, digits and white space alone are text."""

_BYTE = re.compile("<0x[0-9A-F]{2}>")


class TextReader:
    """Texts to token ids, none of which controls the model unless a chat template wrote it.

    A text without the strings of control tokens has the ids that the tokenizer gives it.

    Args:
        tokenizer: A tokenizer of Transformers.
        name: What the model was loaded by.
    """

    def __init__(self, tokenizer: Any, name: str) -> None:
        self._tokenizer = tokenizer
        self._name = name

    @functools.cached_property
    def control(self) -> dict[str, int]:
        """Strings that the tokenizer reads as control tokens, with their ids."""
        added = self._tokenizer.added_tokens_decoder
        return {value.content: int(i) for i, value in added.items() if _is_control(value)}

    @functools.cached_property
    def definition(self) -> str:
        """The tokenizer's definition in Rust, or else its vocabulary, when it was first read."""
        backend = getattr(self._tokenizer, "backend_tokenizer", None)
        # Tokenizers without a backend in Rust are known by their class and vocabulary.
        return str(backend.to_str() if backend else sorted(self._tokenizer.get_vocab().items()))

    def ids(self, texts: Sequence[str], *, special: bool) -> list[list[int]]:
        """Return the token ids of each text.

        Args:
            texts: Plain texts, or prompts that a chat template has made.
            special: Add the special tokens that the tokenizer adds by itself.

        Raises:
            ModelError: A text has a character that is none, or cannot be read as text.
        """
        for text in texts:
            check_characters(text)
        if not texts:
            return []
        if self._backend is None:
            return [self._in_pieces(text, special=special) for text in texts]
        marked = [self._marked(text) for text in texts]
        result = self._backend.encode_batch_fast(marked, add_special_tokens=special)
        return [list(item.ids) for item in result]

    def chat(self, text: str) -> ChatPrompt:
        """Return a text as what a user says, up to where the model's answer begins.

        Raises:
            ModelError: The template rewrites a text that holds control tokens.
        """
        check_characters(text)
        said, place = self._rendered(text), secrets.token_hex(16)
        around = self._rendered(place).split(place)
        # Many templates take off white space.
        for content in (text, text.strip()):
            if content.join(around) == said:
                return ChatPrompt([item for part in around for item in (part, content)][:-1])
        if self._pattern.search(text):
            raise ModelError(
                f"the chat template of {self._name!r} rewrites what is said, so that control "
                f"tokens in it cannot be separated from the template's own: {text[:60]!r}...",
                cure="leave such strings out of the text, or set act.chat to false",
            )
        return ChatPrompt([said])

    def _rendered(self, text: str) -> str:
        said: str = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
        )
        return said

    @functools.cached_property
    def _pattern(self) -> re.Pattern[str]:
        # The longest first, as a tokenizer matches them; without any, nothing matches.
        longest_first = sorted(self.control, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    @functools.cached_property
    def _names(self) -> dict[str, str]:
        """Names for the control tokens that no text can hold, since they cannot be guessed."""
        secret = secrets.token_hex(16)
        return {token: f"q{secret}q{i}q" for i, token in enumerate(self.control)}

    @functools.cached_property
    def _backend(self) -> tokenizers.Tokenizer | None:
        """The tokenizer with its control tokens renamed, if it is one that can be rewritten.

        Renamed among the added tokens and in the model's vocabulary: a Unigram model, and any
        after a normalisation, would find them there. Ids and everything else stay.
        """
        if getattr(self._tokenizer, "backend_tokenizer", None) is None:
            return None
        renamed = tokenizers.Tokenizer.from_str(_rename(self.definition, self._names))
        moved = [t for t, i in self.control.items() if renamed.token_to_id(self._names[t]) != i]
        if moved:
            raise ModelError(
                f"the tokenizer of {self._name!r} cannot read {moved[0]!r} as text",
                cure="report this with the model's name",
            )
        return renamed

    def _marked(self, text: str) -> str:
        """Return a text in which only the template's own control tokens will be found."""
        if not isinstance(text, ChatPrompt):
            return text
        return "".join(
            self._pattern.sub(lambda found: self._names[found[0]], part) if is_template else part
            for part, is_template in text.spans()
        )

    def _in_pieces(self, text: str, *, special: bool) -> list[int]:
        """Return the ids of a text from a tokenizer that cannot be rewritten.

        It sees each control token in two pieces, except those of a template.
        """
        spans = list(text.spans()) if isinstance(text, ChatPrompt) else [(text, False)]
        if not any(self._pattern.search(part) for part, is_template in spans if not is_template):
            return self._plain(text, special=special)
        ids: list[int] = []
        for part, is_template in spans:
            for piece in [part] if is_template else self._pieces(part):
                own = self._plain(piece, special=False)
                if not is_template and set(own) & self._control_ids:
                    raise ModelError(
                        f"the tokenizer of {self._name!r} reads control tokens in the text "
                        f"{piece[:60]!r}",
                        cure="leave such strings out, or use a model with a fast tokenizer",
                    )
                ids += own
        opening, closing = self._around if special else ([], [])
        return [*opening, *ids, *closing]

    def _pieces(self, text: str) -> Iterator[str]:
        while result := self._pattern.search(text):
            cut = result.start() + 1
            yield text[:cut]
            text = text[cut:]
        yield text

    @functools.cached_property
    def _control_ids(self) -> set[int]:
        return set(self.control.values()) - {self._tokenizer.unk_token_id}

    @functools.cached_property
    def _around(self) -> tuple[list[int], list[int]]:
        """What the tokenizer adds before and behind a text."""
        return added_around(self._plain("a", special=False), self._plain("a", special=True))

    def _plain(self, text: str, *, special: bool) -> list[int]:
        # The tokenizer's own length warning is ours to give, as an error.
        result = self._tokenizer(str(text), verbose=False, add_special_tokens=special)
        return list(result["input_ids"])


def added_around(plain: list[int], special: list[int]) -> tuple[list[int], list[int]]:
    """Return what stands before and behind the ids of a text among those with special tokens."""
    start = next(i for i in range(len(special)) if special[i : i + len(plain)] == plain)
    return special[:start], special[start + len(plain) :]


def _is_control(token: Any) -> bool:
    if len(token.content) == 1 and token.content.isprintable():
        return False  # a mark of the text that somebody pads with
    if _BYTE.fullmatch(token.content):
        return False  # what unknown characters fall back to
    return bool(token.special or _MARK.search(token.content))


def _rename(definition: str, names: dict[str, str]) -> str:
    """Return a tokenizer's definition with other names for some of its tokens."""
    known: dict[str, Any] = json.loads(definition)
    known["truncation"] = known["padding"] = None
    for token in known["added_tokens"]:
        token["content"] = names.get(token["content"], token["content"])
    model = known["model"]
    if isinstance(model["vocab"], dict):
        model["vocab"] = {names.get(token, token): i for token, i in model["vocab"].items()}
    else:
        model["vocab"] = [[names.get(token, token), score] for token, score in model["vocab"]]
    if model.get("unk_token") in names:
        model["unk_token"] = names[model["unk_token"]]
    if "merges" in model:
        model["merges"] = [pair for pair in model["merges"] if not _touches(pair, names)]
    return json.dumps(known)


def _touches(merge: Any, names: dict[str, str]) -> bool:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left in names or right in names or left + right in names
