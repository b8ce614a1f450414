"""Remember what a model has already answered, in memory and on disk."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import numpy as np

from dragoman.errors import ModelError
from dragoman.generation import ChatPrompt, Constraint, Generation, Sampling
from dragoman.models.answers import checked_features, checked_generations, checked_log_probs
from dragoman.models.codec import ARRAYS, GENERATION, Arrays, Packing
from dragoman.models.store import Store
from dragoman.types import (
    Cost,
    FloatArray,
    LanguageModel,
    Pooling,
)

if TYPE_CHECKING:
    from dragoman.models.torch_model import TorchModel

_Key: TypeAlias = tuple[object, ...]
T = TypeVar("T")


class CachedModel:
    """A language model with a least-recently-used memory of its answers.

    It answers what the wrapped model would answer, since a model's result never depends on what
    else is in the batch. Answers belong to the model's fingerprint, so that a change of weights
    forgets them.

    Args:
        model: The model to ask what is new.
        budget_bytes: Answers are forgotten, longest unused first, beyond this many bytes.
        store: Where answers are kept on disk and shared with other processes, if anywhere.

    Attributes:
        earlier: What the same training has cost in a process before this one.
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
        self.earlier = Cost()
        self.hits = 0
        self.misses = 0
        self._texts_remembered = 0
        self._texts_from_disk = 0
        self._bytes = 0
        # Each with its size, so that forgetting need not know what kind it is.
        self._answers: OrderedDict[_Key, tuple[Any, int]] = OrderedDict()

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
        cost = self.model.cost + self.earlier
        cost.texts += self._texts_remembered
        cost.texts_remembered += self._texts_remembered
        cost.texts_from_disk += self._texts_from_disk
        return cost

    def forget(self) -> None:
        """Forget every answer in memory, and have the model forget what it has kept.

        For changes that a fingerprint does not see, see `TorchModel.forget`. Answers on disk
        belong to the fingerprint: keep none of a model whose fingerprint does not fix its answers.
        """
        self._answers.clear()
        self._bytes = 0
        if hasattr(self.model, "forget"):
            self.model.forget()

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

        def compute(new: list[int]) -> Iterable[Arrays]:
            asked = [texts[i] for i in new]
            result = self.model.encode(asked, layer=layer, pooling=pooling)
            width = len(pooling) * self.model.hidden_size
            result = checked_features(self.name, result, asked, width)
            # RunningEnvs, because a row view would keep its whole batch alive.
            return ((row.copy(),) for row in result)

        answers = self._look_up(ARRAYS, keys, compute)
        return np.stack([answer[0] for answer in answers])

    def token_log_probs(
        self, prompts: Sequence[str], candidates: Sequence[Sequence[str]]
    ) -> list[list[FloatArray]]:
        """Return log-probs of tokens, as `ScoringModel.token_log_probs` does, read-only.

        Raises:
            ModelError: The wrapped model cannot score.
        """
        token_log_probs = self._able("token_log_probs", "ScoringModel")
        if len(prompts) != len(candidates):
            return list(token_log_probs(prompts, candidates))  # which says what is wrong
        # Where the scored tokens start depends on all candidates, so they belong together.
        keys: list[_Key] = [
            (self.model.fingerprint, "score", prompt, tuple(own))
            for prompt, own in zip(prompts, candidates, strict=True)
        ]

        def compute(new: list[int]) -> Iterable[Arrays]:
            asked = [prompts[i] for i in new], [candidates[i] for i in new]
            result = checked_log_probs(self.name, token_log_probs(*asked), *asked)
            return (tuple(row.copy() for row in rows) for rows in result)

        counts = [len(own) for own in candidates]
        return [list(answer) for answer in self._look_up(ARRAYS, keys, compute, counts)]

    def generate(
        self,
        prompts: Sequence[str],
        *,
        sampling: Sampling = Sampling(),
        constraint: Constraint | None = None,
    ) -> list[Generation]:
        """Return one text for each prompt, as `GeneratingModel.generate` does.

        Drawn texts are remembered like greedy ones, since the seed in ``sampling`` names the draw.
        Their log-probs are read-only.

        Raises:
            ModelError: The wrapped model cannot generate.
        """
        generate = self._able("generate", "GeneratingModel")
        start = (self.model.fingerprint, "generate", repr(sampling), repr(constraint))
        keys: list[_Key] = [(*start, prompt) for prompt in prompts]

        def compute(new: list[int]) -> Iterable[Generation]:
            asked = [prompts[i] for i in new]
            result = generate(asked, sampling=sampling, constraint=constraint)
            written = checked_generations(self.name, result, asked)
            return [replace(item, log_probs=np.array(item.log_probs)) for item in written]

        return self._look_up(GENERATION, keys, compute)

    def _able(self, method: str, kind: str) -> Any:
        """Return a method of the wrapped model, if it has it."""
        result = getattr(self.model, method, None)
        if result is None:
            raise ModelError(
                f"the model {self.name!r} has no {method}",
                cure=f"wrap a model that keeps the promises of {kind}",
            )
        return result

    def _look_up(
        self,
        packing: Packing[T],
        keys: list[_Key],
        compute: Callable[[list[int]], Iterable[T]],
        counts: Sequence[int] | None = None,
    ) -> list[T]:
        """Return the answer to each key: from memory, from disk, or computed.

        Args:
            packing: How this kind of answer is kept.
            keys: What was asked.
            compute: Answers the keys at the given places.
            counts: Number of texts behind each key, for the books; one unless given.
        """
        # Answers are held here until all are there: remembering a new one may forget one that
        # this very call still needs.
        known = {key: self._answers[key][0] for key in keys if key in self._answers}
        for key in known:
            self._answers.move_to_end(key)
        places = {key: i for i, key in enumerate(keys) if key not in known}
        if places and self.store is not None:
            known |= self._from_disk(packing, list(places))
        new = [i for key, i in places.items() if key not in known]
        if new:
            computed = dict(zip([keys[i] for i in new], compute(new), strict=True))
            if self.store is not None:
                self.store.put(
                    {_digest(key): packing.pack(value) for key, value in computed.items()}
                )
            known |= computed
        for key in places:
            answer = packing.freeze(known[key])
            self._remember(key, answer, packing.size(answer))
        self.misses += len(new)
        self.hits += len(keys) - len(new)
        counts = [1] * len(keys) if counts is None else counts
        computed_places = set(new)
        self._texts_from_disk += sum(counts[i] for i in places.values() if i not in computed_places)
        self._texts_remembered += sum(counts) - sum(counts[i] for i in new)
        return [known[key] for key in keys]

    def _from_disk(self, packing: Packing[T], keys: list[_Key]) -> dict[_Key, T]:
        assert self.store is not None
        digests = {_digest(key): key for key in keys}
        result = self.store.get(list(digests))
        return {digests[digest]: packing.unpack(value) for digest, value in result.items()}

    def _remember(self, key: _Key, answer: object, size: int) -> None:
        self._answers[key] = answer, size
        self._bytes += size
        while self._bytes > self.budget_bytes:
            _, (_, forgotten) = self._answers.popitem(last=False)
            self._bytes -= forgotten


def _digest(key: _Key) -> bytes:
    # JSON keeps apart what mere joining would confuse: ("a", "bc") and ("ab", "c").
    named = [["chat", *item.parts] if isinstance(item, ChatPrompt) else item for item in key]
    return hashlib.blake2b(json.dumps(named).encode(), digest_size=20).digest()


def without_memory(model: LanguageModel) -> LanguageModel:
    """Return the model itself, where it stands behind a memory."""
    return model.model if isinstance(model, CachedModel) else model


def torch_model_of(model: LanguageModel | None) -> TorchModel | None:
    """Return the model of Transformers that a model is, or remembers; nothing for others."""
    inner = model.model if isinstance(model, CachedModel) else model
    # Transformers takes seconds to import, and nothing is of a class that nobody has imported.
    module = sys.modules.get("dragoman.models.torch_model")
    if module is None or not isinstance(inner, module.TorchModel):
        return None
    return cast("TorchModel", inner)
