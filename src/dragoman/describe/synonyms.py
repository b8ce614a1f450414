"""Other words for the words of a text, such as those that an agent was not trained with."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dragoman.errors import ConfigError


class Synonyms:
    r"""Puts whole words and phrases of a text in other words.

    The longest phrase is replaced first, and what was put in is not looked at again. A word that
    begins with a capital letter is replaced by one that does.

    >>> Synonyms({"take": "pick up", "red ball": "scarlet sphere"})("Take the red ball; mistake")
    'Pick up the scarlet sphere; mistake'

    Args:
        words: What to say instead, by word or phrase, in small letters where it may be at the
            beginning of a sentence.

    Raises:
        ConfigError: A word has no letter or digit at one of its ends.
    """

    def __init__(self, words: Mapping[str, str]) -> None:
        for word in words:
            if not re.fullmatch(r"\w|\w.*\w", word, re.DOTALL):
                raise ConfigError(
                    f"describe.synonyms has {word!r}, which is no word or phrase",
                    cure="let it begin and end with a letter or digit",
                )
        self._words = dict(words)
        longest_first = sorted(map(re.escape, words), key=len, reverse=True)
        self._pattern = re.compile(rf"\b(?:{'|'.join(longest_first)})\b", re.IGNORECASE)

    def __call__(self, text: str) -> str:
        """Return the text in other words."""
        return self._pattern.sub(self._other, text) if self._words else text

    def _other(self, match: re.Match[str]) -> str:
        found = match.group()
        if found in self._words:
            return self._words[found]
        other = self._words.get(found[0].lower() + found[1:])
        return found if other is None else other[:1].upper() + other[1:]
