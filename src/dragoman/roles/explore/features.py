"""Features of states for exploration: what a language model makes of their texts, made small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dragoman.maths.moments import Moments
from dragoman.maths.seeds import derive_seed
from dragoman.roles.explore.recent import Recent
from dragoman.roles.observe.observer import restored
from dragoman.types import FloatArray, LanguageModel, Pooling

CLIP = 5.0
"""Standardised hidden states are clipped to plus or minus this many standard deviations."""
REMEMBERED = 4096
"""Texts whose hidden states are at hand: to look into the model's memory costs much more."""


class Features:
    """Texts to vectors of length about 1, whatever the model.

    Hidden states are standardised by running moments, since a few of their numbers would outweigh
    all others. Then a Gaussian projection, drawn by seed, makes them smaller: by the lemma of
    Johnson and Lindenstrauss distances stay nearly what they are.

    Args:
        model: The language model.
        layer: As in `dragoman.types.LanguageModel.encode`.
        pooling: The same.
        size: Most numbers of a vector.
        seed: Draws the projection.

    Attributes:
        size: Numbers of a vector, ``D``.
        moments: The running moments of the hidden states.
        learning: Whether these take in more.
    """

    learning = True
    resumes = ("moments",)

    def __init__(
        self,
        model: LanguageModel,
        layer: int | None,
        pooling: Sequence[Pooling],
        size: int,
        seed: int,
    ) -> None:
        self._model, self._layer, self._pooling = model, layer, tuple(pooling)
        width = len(self._pooling) * model.hidden_size
        self.size = min(size, width)
        self.moments = Moments.empty(width)
        self._met = Recent[str, FloatArray](REMEMBERED)
        generator = np.random.default_rng(derive_seed("explore projection", seed))
        projection = np.eye(width)
        if self.size < width:
            projection = generator.normal(size=(width, self.size)) / np.sqrt(self.size)
        # A standardised hidden state is about √width long.
        self._projection = (projection / np.sqrt(width)).astype(np.float32)

    def learn(self, texts: Sequence[str]) -> None:
        """Take texts into the moments."""
        self.moments = self.moments.merge(self._encoded(texts))

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        """Return the features of ``n`` texts, which are learnt from first, float32 ``(n, D)``."""
        encoded = self._encoded(texts)
        if self.learning:
            self.moments = self.moments.merge(encoded)
        result: FloatArray = self.moments.standardise(encoded, clip=CLIP) @ self._projection
        return result

    def _encoded(self, texts: Sequence[str]) -> FloatArray:
        """Return hidden states; of texts that were met lately without asking the model's memory."""
        if not texts:
            return np.zeros((0, self.moments.mean.shape[0]), np.float32)

        def encode(places: Sequence[int]) -> FloatArray:
            new = [texts[i] for i in places]
            return self._model.encode(new, layer=self._layer, pooling=self._pooling)

        return np.stack(self._met(texts, encode))

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the moments, to be saved."""
        return self.moments.arrays()

    def forget(self) -> None:
        """Forget the hidden states of texts."""
        self._met.forget()

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore what `state` returned.

        Raises:
            SpaceError: The saved statistics belong to features of another size.
        """
        self.moments = restored(
            self.moments,
            state,
            what="the saved statistics of the explore role",
            decide="model, layer and pooling",
        )
