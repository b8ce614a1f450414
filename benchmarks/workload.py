"""Texts of an exact number of tokens, never the same twice."""

from __future__ import annotations

import random
from typing import Any

HEAD_TOKENS, TEXT_TOKENS = 40, 60


class Workload:
    """Makes texts for one tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        self.random = random.Random(0)
        plain = [" push", " cart", " pole", " left", " right", " the", " door", " key", " red"]
        # Only words that are one token each, so that n words are n tokens.
        self.words = [word for word in plain if len(tokenizer(word)["input_ids"]) == 1]
        self.head = "".join(self.words[i % len(self.words)] for i in range(HEAD_TOKENS))

    def text(self, tokens: int) -> str:
        return "".join(self.random.choices(self.words, k=tokens))

    def texts(self, count: int, tokens: int = TEXT_TOKENS) -> list[str]:
        return [self.text(tokens) for _ in range(count)]

    def with_head(self, count: int) -> list[str]:
        return [self.head + self.text(TEXT_TOKENS - HEAD_TOKENS) for _ in range(count)]

    def ragged(self, count: int, *, log_uniform: bool) -> list[str]:
        def length() -> int:
            if log_uniform:
                return round(10 * 15 ** self.random.random())
            return self.random.randint(10, 150)

        return [self.text(length()) for _ in range(count)]
