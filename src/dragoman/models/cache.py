"""Remember what a model has already answered, in memory and on disk."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from dragoman.errors import ModelError
from dragoman.models.store import Store
from dragoman.types import Cost, FloatArray, LanguageModel, Pooling, ScoringModel

Answer: TypeAlias = tuple[FloatArray, ...]
"""One or more flat arrays: the features of a text, or the log-probs of each candidate."""

_Key: TypeAlias = tuple[object, ...]


class CachedModel:
    """A language model with a least-recently-used memory of its answers.

    It answers what the wrapped model would answer, since a model's result never depends on what
    else is in the batch. Answers belong to the model's fingerprint, so that a change of weights
    forgets them.

    Args:
        model: The model to ask what is new.
        budget_bytes: Answers are forgotten, longest unused first, beyond this many bytes.
        store: Where answers are kept on disk and shared with other processes, if anywhere.
    """

    def __init__(
        self,
        model: LanguageModel,
        *,
        budget_bytes: int = 512 * 2**20,
        store: Store | None = None,
    ) -> None:
        self.model = model
        self.budget_bytes = budget_bytes
        self.store = store
        self.hits = 0
        self.misses = 0
        self._texts_remembered = 0
        self._bytes = 0
        self._answers: OrderedDict[_Key, Answer] = OrderedDict()

    @property
    def name(self) -> str:
        """The wrapped model's name."""
        return self.model.name

    @property
    def fingerprint(self) -> str:
        """The wrapped model's fingerprint."""
        return self.model.fingerprint

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
        cost.texts += self._texts_remembered
        cost.texts_remembered += self._texts_remembered
        return cost

    def encode(
        self,
        texts: Sequence[str],
        *,
        layer: int | None = None,
        pooling: Sequence[Pooling] = ("last",),
    ) -> FloatArray:
        """Return one feature vector a text, as `LanguageModel.encode` does."""
        if not texts:
            return self.model.encode([], layer=layer, pooling=pooling)
        start = (self.model.fingerprint, "encode", layer, tuple(pooling))
        keys: list[_Key] = [(*start, text) for text in texts]

        def compute(new: list[int]) -> Iterable[Answer]:
            found = self.model.encode([texts[i] for i in new], layer=layer, pooling=pooling)
            # Copies, because a row view would keep its whole batch alive.
            return ((row.copy(),) for row in found)

        return np.stack([answer[0] for answer in self._look_up(keys, compute, [1] * len(keys))])

    def token_log_probs(
        self, prompts: Sequence[str], candidates: Sequence[Sequence[str]]
    ) -> list[list[FloatArray]]:
        """Return log-probs of tokens, as `ScoringModel.token_log_probs` does.

        Raises:
            ModelError: The wrapped model cannot score.
        """
        model = self.model
        if not isinstance(model, ScoringModel):
            raise ModelError(
                f"the model {self.name!r} has no token_log_probs, so it cannot score candidates",
                cure="wrap a model that keeps the promises of ScoringModel",
            )
        if len(prompts) != len(candidates):
            return model.token_log_probs(prompts, candidates)  # which says what is wrong
        # Where the scored tokens start depends on all candidates, so they belong together.
        keys: list[_Key] = [
            (model.fingerprint, "score", prompt, tuple(own))
            for prompt, own in zip(prompts, candidates, strict=True)
        ]

        def compute(new: list[int]) -> Iterable[Answer]:
            found = model.token_log_probs([prompts[i] for i in new], [candidates[i] for i in new])
            return (tuple(row.copy() for row in rows) for rows in found)

        counts = [len(own) for own in candidates]
        return [list(answer) for answer in self._look_up(keys, compute, counts)]

    def _look_up(
        self,
        keys: list[_Key],
        compute: Callable[[list[int]], Iterable[Answer]],
        counts: Sequence[int],
    ) -> list[Answer]:
        """Return the answer to each key: from memory, from disk, or computed.

        Args:
            keys: What was asked.
            compute: Answers the keys at the given places.
            counts: Number of texts behind each key, for the books.
        """
        # Answers are held here until all are there: remembering a new one may forget one that
        # this very call still needs.
        known = {key: self._answers[key] for key in keys if key in self._answers}
        for key in known:
            self._answers.move_to_end(key)
        places = {key: i for i, key in enumerate(keys) if key not in known}
        if places and self.store is not None:
            known |= self._from_disk(list(places))
        new = [i for key, i in places.items() if key not in known]
        if new:
            computed = dict(zip([keys[i] for i in new], compute(new), strict=True))
            if self.store is not None:
                self.store.put({_digest(key): _pack(one) for key, one in computed.items()})
            known |= computed
        for key in places:
            self._remember(key, known[key])
        self.misses += len(new)
        self.hits += len(keys) - len(new)
        self._texts_remembered += sum(counts) - sum(counts[i] for i in new)
        return [known[key] for key in keys]

    def _from_disk(self, keys: list[_Key]) -> dict[_Key, Answer]:
        assert self.store is not None
        digests = {_digest(key): key for key in keys}
        found = self.store.get(list(digests))
        return {digests[digest]: _unpack(value) for digest, value in found.items()}

    def _remember(self, key: _Key, answer: Answer) -> None:
        self._answers[key] = answer
        self._bytes += sum(row.nbytes for row in answer)
        while self._bytes > self.budget_bytes:
            _, forgotten = self._answers.popitem(last=False)
            self._bytes -= sum(row.nbytes for row in forgotten)


def _digest(key: _Key) -> bytes:
    # JSON keeps apart what mere joining would confuse: ("a", "bc") and ("ab", "c").
    return hashlib.blake2b(json.dumps(key).encode(), digest_size=20).digest()


def _pack(answer: Answer) -> bytes:
    lengths = np.array([len(answer), *map(len, answer)], dtype="<u4")
    return b"".join([lengths.tobytes(), *(row.astype("<f4").tobytes() for row in answer)])


def _unpack(value: bytes) -> Answer:
    count = int(np.frombuffer(value, "<u4", count=1)[0])
    lengths = np.frombuffer(value, "<u4", count=count, offset=4)
    rows = np.frombuffer(value, "<f4", offset=4 + 4 * count).astype(np.float32)
    return tuple(np.split(rows, np.cumsum(lengths)[:-1])) if count else ()
