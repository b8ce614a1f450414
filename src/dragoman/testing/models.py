"""A scripted language model, and what every model must keep."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike

from dragoman.errors import ConfigError, DragomanError, ModelError
from dragoman.generation import Constraint, Generation, Sampling
from dragoman.types import Cost, FloatArray, LanguageModel, Pooling

TEXTS = (
    "a",
    "the pole leans 3.2 degrees to the right",
    "the pole leans 3.2 degrees to the left",
    "one two three four five six seven eight nine ten eleven twelve",
    "-1.5, 0.02",
    "Ünïcode ✓ 漢字",
    "<|endoftext|> and </s> and [PAD] are words of the text",
    "cart position 0.02, cart velocity 0.195",
)


class ScriptedModel:
    """A language model whose hidden state is whatever a function makes of the text.

    Every pooling gives the same answer, and layer ``k`` of ``n`` gives it times ``k / n``, so
    that a test can separate the layers.

    >>> model = ScriptedModel(lambda text: [len(text), 1.0])
    >>> model.encode(["ab", "abc"]).tolist()
    [[2.0, 1.0], [3.0, 1.0]]
    >>> model.calls
    [['ab', 'abc']]

    Args:
        answer: Text in, hidden state ``(H,)`` out.
        hidden_size: Width ``H``; found by asking for one text unless given.
        num_layers: Number of layers to claim.
        log_probs: Prompt and candidate in, log-probs of the candidate's tokens out; without it
            the model cannot score.
        write: Prompt and seed in, text out; without it the model cannot generate.
    """

    def __init__(
        self,
        answer: Callable[[str], ArrayLike],
        *,
        hidden_size: int | None = None,
        num_layers: int = 2,
        log_probs: Callable[[str, str], ArrayLike] | None = None,
        write: Callable[[str, int], str] | None = None,
    ) -> None:
        self.answer = answer
        self.log_probs = log_probs
        self.write = write
        self.name = "scripted"
        # A function has no address by content, so no two scripted models share answers.
        self.fingerprint = f"scripted {uuid.uuid4().hex}"
        self.num_layers = num_layers
        self.hidden_size = hidden_size if hidden_size is not None else np.size(answer(TEXTS[-1]))
        self.cost = Cost()
        self.calls: list[list[str]] = []

    def encode(
        self,
        texts: Sequence[str],
        *,
        layer: int | None = None,
        pooling: Sequence[Pooling] = ("last",),
    ) -> FloatArray:
        """Return the scripted features, float32 ``(B, len(pooling) * H)``."""
        depth = self.num_layers if layer is None else layer
        depth = depth + self.num_layers + 1 if depth < 0 else depth
        if not 0 <= depth <= self.num_layers:
            raise ConfigError(f"layer is {layer}", cure=f"choose from 0 to {self.num_layers}")
        if not pooling or not set(pooling) <= set(get_args(Pooling)):
            raise ConfigError(f"pooling is {pooling}", cure="choose from last, mean, first")
        self.calls.append(list(texts))
        self.cost.texts += len(texts)
        self.cost.tokens += sum(len(text.split()) for text in dict.fromkeys(texts))
        rows = [np.asarray(self.answer(text), dtype=np.float32) for text in texts]
        hidden = np.stack(rows) if rows else np.empty((0, self.hidden_size), dtype=np.float32)
        return np.tile(hidden * np.float32(depth / self.num_layers), (1, len(pooling)))

    def token_log_probs(
        self, prompts: Sequence[str], candidates: Sequence[Sequence[str]]
    ) -> list[list[FloatArray]]:
        """Return the scripted log-probs, float32 ``(n,)`` of each candidate."""
        if self.log_probs is None:
            raise ModelError("this ScriptedModel cannot score", cure="give it log_probs")
        self.cost.texts += sum(map(len, candidates))
        return [
            [np.asarray(self.log_probs(prompt, item), dtype=np.float32) for item in own]
            for prompt, own in zip(prompts, candidates, strict=True)
        ]

    def generate(
        self,
        prompts: Sequence[str],
        *,
        sampling: Sampling = Sampling(),
        constraint: Constraint | None = None,
    ) -> list[Generation]:
        """Return the scripted texts as they are: no stop string or constraint is looked at.

        Every word counts as a token of probability one.
        """
        if self.write is None:
            raise ModelError("this ScriptedModel cannot generate", cure="give it write")
        self.calls.append(list(prompts))
        self.cost.texts += len(prompts)
        texts = [self.write(prompt, sampling.seed) for prompt in prompts]
        self.cost.tokens += sum(len(text.split()) for text in texts)
        return [
            Generation(text, np.zeros(len(text.split()), dtype=np.float32), "stop")
            for text in texts
        ]


def check_model(
    model: LanguageModel, texts: Sequence[str] = TEXTS, *, tolerance: float = 1e-4
) -> None:
    """Check that a model keeps the promises of `dragoman.types.LanguageModel`.

    Args:
        model: The model to check.
        texts: Different texts of different lengths to check it with.
        tolerance: Largest difference allowed between two ways to compute one feature, relative
            to the largest feature of that text; a model that computes in sixteen bits needs 5e-2.

    Raises:
        AssertionError: A promise is broken.
    """
    texts = list(texts)
    together = model.encode(texts)
    shape = (len(texts), model.hidden_size)
    assert together.shape == shape, f"encode returned shape {together.shape} instead of {shape}"
    assert together.dtype == np.float32, f"encode returned {together.dtype} instead of float32"
    assert np.isfinite(together).all(), "encode returned NaN or infinite numbers"
    assert model.encode([]).shape == (0, model.hidden_size), "no texts must give no rows"

    def same(got: FloatArray, expected: FloatArray, promise: str) -> None:
        scale = np.abs(expected).max(axis=1, keepdims=True) + 1e-12
        worst = float((np.abs(got - expected) / scale).max())
        assert worst <= tolerance, f"{promise} (relative difference {worst:.2g})"

    alone = np.concatenate([model.encode([text]) for text in texts])
    same(alone, together, "a text alone must equal the same text in a batch")
    same(model.encode(texts[::-1])[::-1], together, "the order of texts must not matter")
    twice = model.encode([*texts, *texts])
    same(twice[: len(texts)], together, "a repeated text must not change the others")
    same(twice[len(texts) :], together, "equal texts must have equal features")
    _check_arguments(model, texts, together)


def _check_arguments(model: LanguageModel, texts: list[str], together: FloatArray) -> None:
    depth = model.num_layers
    for layer in (depth, -1):
        np.testing.assert_array_equal(
            model.encode(texts, layer=layer), together, f"layer {layer} must be the full depth"
        )
    for layer in range(depth):
        shape = model.encode(texts[:1], layer=layer).shape
        assert shape == (1, model.hidden_size), f"layer {layer} gave shape {shape}"
    poolings = get_args(Pooling)
    apart = np.concatenate([model.encode(texts, pooling=[name]) for name in poolings], axis=1)
    side_by_side = model.encode(texts, pooling=poolings)
    np.testing.assert_allclose(
        side_by_side, apart, rtol=1e-5, err_msg="several poolings must stand side by side"
    )
    bad: list[dict[str, Any]] = [
        {"layer": depth + 1},
        {"layer": -depth - 2},
        {"pooling": ["no such pooling"]},
        {"pooling": []},
    ]
    for arguments in bad:
        try:
            model.encode(texts[:1], **arguments)
        except DragomanError:
            continue
        raise AssertionError(f"encode accepted {arguments}, but must raise a DragomanError")
