"""Remember the features of texts that a model has already read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dragoman.types import Cost, FloatArray, LanguageModel, Pooling

_Key = tuple[str, int | None, tuple[Pooling, ...]]


class CachedModel:
    """A frozen language model with a least-recently-used memory of its features.

    It answers exactly what the wrapped model would answer, since a model's result never
    depends on what else is in the batch. Use it only while the weights stay as they are.

    Args:
        model: The model to ask for texts that are new.
        budget_bytes: Features are forgotten, longest unused first, beyond this many bytes.
    """

    def __init__(self, model: LanguageModel, *, budget_bytes: int = 512 * 2**20) -> None:
        self.model = model
        self.budget_bytes = budget_bytes
        self.hits = 0
        self.misses = 0
        self._bytes = 0
        self._features: OrderedDict[_Key, FloatArray] = OrderedDict()

    @property
    def name(self) -> str:
        """The wrapped model's name."""
        return self.model.name

    @property
    def hidden_size(self) -> int:
        """Width ``H`` of one hidden state."""
        return self.model.hidden_size

    @property
    def num_layers(self) -> int:
        """Number of transformer blocks of the wrapped model."""
        return self.model.num_layers

    @property
    def cost(self) -> Cost:
        """What was asked of the memory and of the model behind it."""
        cost = replace(self.model.cost)
        cost.texts += self.hits
        cost.texts_remembered += self.hits
        return cost

    def encode(
        self,
        texts: Sequence[str],
        *,
        layer: int | None = None,
        pooling: Sequence[Pooling] = ("last",),
    ) -> FloatArray:
        """Return one feature vector a text, as `LanguageModel.encode` does."""
        keys: list[_Key] = [(text, layer, tuple(pooling)) for text in texts]
        # Rows are held here until the answer is stacked: remembering a new text may forget one
        # that this very call still needs.
        rows = {key: self._features[key] for key in keys if key in self._features}
        new = [key for key in dict.fromkeys(keys) if key not in rows]
        self.misses += len(new)
        self.hits += len(keys) - len(new)
        for key in rows:
            self._features.move_to_end(key)
        if new or not keys:
            computed = self.model.encode([key[0] for key in new], layer=layer, pooling=pooling)
            if not keys:
                return computed
            for key, feature in zip(new, computed, strict=True):
                # A copy, because a row view would keep its whole batch alive.
                rows[key] = feature.copy()
                self._remember(key, rows[key])
        return np.stack([rows[key] for key in keys])

    def _remember(self, key: _Key, feature: FloatArray) -> None:
        self._features[key] = feature
        self._bytes += feature.nbytes
        while self._bytes > self.budget_bytes:
            _, forgotten = self._features.popitem(last=False)
            self._bytes -= forgotten.nbytes
