"""The protocols that hold Dragoman together, and the array aliases they speak.

Shapes are written with fixed letters everywhere: ``N`` environments, ``B`` texts, ``T`` tokens,
``H`` hidden units, ``A`` or ``K`` actions, ``D`` features. Masks say what ``True`` means in
their name: ``is_real``, ``is_pad``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dragoman.generation import Constraint, Generation, Sampling

FloatArray: TypeAlias = NDArray[np.float32]
BoolArray: TypeAlias = NDArray[np.bool_]
Info: TypeAlias = Mapping[str, Any]

Pooling: TypeAlias = Literal["last", "mean", "first"]
"""Which real tokens become the feature: the last one, the mean of all, or the first."""


RewardFunction: TypeAlias = Callable[..., Any]
"""A batch in, one number a text out: a function, or a frozen dataclass with ``__call__``.

It takes by name what it needs, and nothing else:

* ``texts``: ``B`` texts, of the states that were reached;
* ``observations``: the same states as the environment gives them;
* ``model``: the language model;
* ``actions``: ``B`` texts of the actions that led there;
* ``previous``: ``B`` texts of the states that they were taken in;
* ``raw_actions``, ``previous_observations``: both as the environment takes and gives them;
* ``memory``: ``B`` dictionaries, each of which belongs to its episode and starts empty.

One whose arguments hang on its settings names them in an attribute ``takes`` instead.

What takes only the first three is a function of the state alone, a `Potential`.
"""

Potential: TypeAlias = RewardFunction
"""A reward function of the state alone, deterministic: it takes only the first three."""


@runtime_checkable
class Describer(Protocol):
    """Turns observations and actions into text, deterministically.

    One instance serves every copy of an environment, so it keeps no state between calls.
    """

    def observation(self, observation: Any, info: Info) -> str:
        """Return what a language model reads of one (unbatched) observation."""
        ...

    def action(self, action: Any) -> str:
        """Return one (unbatched) action in words."""
        ...


@dataclass
class Cost:
    """What a language model has cost so far, as counters that only grow.

    Attributes:
        texts: Texts and candidates asked for.
        texts_remembered: Of these, answered from a memory without the model.
        texts_from_disk: Of these, read from the disk, where an earlier training has left them.
        tokens: Real (not padding) tokens that have passed through the model.
        tokens_shared: Tokens that would have, had their common head not been computed before.
        seconds: Time spent in the model.
        flops: Floating-point operations of these tokens, multiply-adds counted as two; nothing
            where a remote server computes.
        out_of_memory: Batches that the device's memory did not hold, and that were halved.
    """

    texts: int = 0
    texts_remembered: int = 0
    texts_from_disk: int = 0
    tokens: int = 0
    tokens_shared: int = 0
    seconds: float = 0.0
    flops: float = 0.0
    out_of_memory: int = 0

    def __add__(self, other: Cost) -> Cost:
        """Return what both have cost together."""
        return Cost(**{name: count + getattr(other, name) for name, count in vars(self).items()})

    def __sub__(self, other: Cost) -> Cost:
        """Return what was added since ``other``."""
        return Cost(**{name: count - getattr(other, name) for name, count in vars(self).items()})


@runtime_checkable
class LanguageModel(Protocol):
    """Text in, numbers out. Batch composition never changes a result."""

    @property
    def name(self) -> str:
        """The name or path the model was loaded by."""
        ...

    @property
    def fingerprint(self) -> str:
        """A text that changes whenever an answer may: equal fingerprints, equal answers."""
        ...

    @property
    def hidden_size(self) -> int:
        """Width ``H`` of one hidden state."""
        ...

    @property
    def num_layers(self) -> int:
        """Number of transformer blocks of the encoding stack."""
        ...

    @property
    def cost(self) -> Cost:
        """What was asked of the model so far."""
        ...

    def encode(
        self,
        texts: Sequence[str],
        *,
        layer: int | None = None,
        pooling: Sequence[Pooling] = ("last",),
    ) -> FloatArray:
        """Return one feature vector a text.

        Args:
            texts: ``B`` texts.
            layer: Hidden state after this many transformer blocks, from 0 (the token
                embeddings) to ``num_layers``; ``None`` means ``num_layers``. The blocks above
                are not computed. Negative numbers count from the end.
            pooling: Poolings whose results stand side by side.

        Returns:
            float32 array ``(B, len(pooling) * H)``.
        """
        ...


@runtime_checkable
class ScoringModel(LanguageModel, Protocol):
    """A language model that also says how likely texts are after others."""

    def token_log_probs(
        self, prompts: Sequence[str], candidates: Sequence[Sequence[str]]
    ) -> list[list[FloatArray]]:
        """Return the log-prob of every token of every candidate, after its prompt.

        Args:
            prompts: ``B`` texts.
            candidates: Candidate texts of each prompt; their numbers may differ.

        Returns:
            For each prompt and candidate, a float32 array with one log-prob a token.
        """
        ...


@runtime_checkable
class GeneratingModel(LanguageModel, Protocol):
    """A language model that also writes text."""

    def generate(
        self,
        prompts: Sequence[str],
        *,
        sampling: Sampling = Sampling(),
        constraint: Constraint | None = None,
    ) -> list[Generation]:
        """Return one text for each prompt.

        Args:
            prompts: ``B`` texts.
            sampling: How tokens are chosen.
            constraint: What the text must be: a `Choice`, an `Integer` or `Json`.
        """
        ...
