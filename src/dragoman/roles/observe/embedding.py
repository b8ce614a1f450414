"""The observe role without a language model: the tokens of the text, for a table to be trained.

What a description gives an agent is of two kinds: the text, and what a model knows of it. This
hands over the text alone. The tokens are the model's own; the table that they are looked up in is
part of the policy network and knows nothing before its training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from dragoman.describe.moment import Moment
from dragoman.errors import ConfigError
from dragoman.roles.observe.raw import RawState
from dragoman.roles.observe.settings import Observe
from dragoman.types import FloatArray, Pooling, Tokenizer

ROWS = 1024
"""Rows of the table: different tokens that a run may meet, of which the first is for all others.

A whole vocabulary has fifty times as many, nearly all of which no description ever uses: they
would be saved with every run and be carried through every step of the optimiser for nothing.
"""

PAD = -1.0


class TokenSpace(gym.spaces.Box):
    """Rows of the table for the tokens of a text, `PAD` behind them, then raw values.

    Args:
        length: Most tokens ``T`` of a text.
        width: Width ``H`` of a row of the table.
        pooling: What becomes of the rows of a text.
        raw: Number of raw values behind the tokens.
    """

    def __init__(self, length: int, width: int, pooling: tuple[Pooling, ...], raw: int = 0) -> None:
        low = np.concatenate([np.full(length, PAD), np.full(raw, -np.inf)]).astype(np.float32)
        high = np.concatenate([np.full(length, ROWS - 1), np.full(raw, np.inf)]).astype(np.float32)
        super().__init__(low, high, dtype=np.float32)
        self.length = length
        self.width = width
        self.pooling = pooling
        self.raw = raw


class OptionTokenSpace(gym.spaces.Box):
    """Rows of the table for the tokens of several texts, one text a row.

    Args:
        count: Number of texts ``K``.
        each: The space of one text's rows.
    """

    def __init__(self, count: int, each: TokenSpace) -> None:
        super().__init__(PAD, ROWS - 1, (count, each.length), np.float32)
        self.each = each


class TokenRows:
    """Texts in, rows of a table for their tokens out.

    Tokens take rows in the order in which they are met; beyond the table's size, and beyond
    what the training has met, they share row 0.

    Args:
        tokenizer: Cuts texts as the language model would.

    Attributes:
        learning: Whether tokens not met before get a row of their own.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.learning = True
        self._rows: dict[int, int] = {}

    @property
    def width(self) -> int:
        """Width of the model that the tokenizer belongs to."""
        return self.tokenizer.hidden_size

    def padded(self, texts: Sequence[str], length: int, setting: str) -> FloatArray:
        """Return rows of ``B`` texts with `PAD` behind them, float32 ``(B, length)``.

        Raises:
            ConfigError: A text has more tokens than the setting of this name allows.
        """
        found = np.full((len(texts), length), PAD, np.float32)
        for i, ids in enumerate(self.tokenizer.token_ids(texts)):
            if len(ids) > length:
                raise ConfigError(
                    f"a text has {len(ids)} tokens, but {setting} is {length}: "
                    f"{texts[i][:60]!r}...",
                    cure=f"raise {setting}, or describe less",
                )
            found[i, : len(ids)] = [self._row(token) for token in ids]
        return found

    def state(self) -> dict[str, np.ndarray]:
        """Return what must be saved to find the same rows again."""
        return {"tokens": np.array(list(self._rows), np.int64)}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what `state` returned."""
        self._rows = {int(token): row for row, token in enumerate(state["tokens"], start=1)}

    def _row(self, token: int) -> int:
        if self.learning and token not in self._rows and len(self._rows) < ROWS - 1:
            self._rows[token] = len(self._rows) + 1
        return self._rows.get(token, 0)


class TokenObserver:
    """Observations and infos in, rows of a table for the tokens of their texts out.

    Args:
        tokenizer: Cuts texts as the language model would.
        settings: Pooling, raw values, width and length.
        space: The (unbatched) observation space.

    Attributes:
        feature_space: What a call returns for each observation.
        rows: Finds the rows.
        model: There is none, so there is no cost of one.
    """

    model: None = None

    def __init__(
        self,
        tokenizer: Tokenizer,
        settings: Observe,
        space: gym.Space[Any],
    ) -> None:
        self._raw = RawState(space) if settings.raw else None
        self.rows = TokenRows(tokenizer)
        self.settings = settings
        self.space = space
        self.feature_space = TokenSpace(
            settings.max_tokens,
            tokenizer.hidden_size if settings.width is None else settings.width,
            settings.pooling,
            self._raw.size if self._raw else 0,
        )

    @property
    def learning(self) -> bool:
        """Whether tokens not met before get a row of their own."""
        return self.rows.learning

    @learning.setter
    def learning(self, on: bool) -> None:
        self.rows.learning = on

    def __call__(self, moments: Sequence[Moment]) -> FloatArray:
        """Return rows of the table for ``B`` moments, float32 ``(B, T + raw values)``.

        Raises:
            ConfigError: A text has more tokens than ``observe.max_tokens``.
        """
        texts = [moment.text for moment in moments]
        length = self.feature_space.length
        features = np.full((len(texts), *self.feature_space.shape), PAD, np.float32)
        features[:, :length] = self.rows.padded(texts, length, "observe.max_tokens")
        if self._raw is not None:
            features[:, length:] = self._raw(moments)
        return features

    def state(self) -> dict[str, np.ndarray]:
        """Return what must be saved to find the same rows again."""
        return self.rows.state()

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what `state` returned."""
        self.rows.load_state(state)
