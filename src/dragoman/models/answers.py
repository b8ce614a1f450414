"""What a language model is asked and answers, checked where it enters: count, width, kind, finite.

`dragoman.models.cache.CachedModel` stands between every role and its model and checks what is new,
so that nothing wrong is remembered, stored or learnt from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from dragoman.errors import ConfigError, ModelError, did_you_mean
from dragoman.generation import Generation
from dragoman.types import FloatArray, Pooling

QUOTED = 80
"""Characters of a text that a message quotes."""


def check_pooling(pooling: Sequence[Pooling]) -> None:
    """Check that there are poolings, and none but these."""
    known = get_args(Pooling)
    for name in pooling:
        if name not in known:
            raise ConfigError(
                f"there is no pooling {name!r}{did_you_mean(name, known)}",
                cure=f"choose from {', '.join(known)}",
            )
    if not pooling:
        raise ConfigError("pooling is empty", cure=f"choose from {', '.join(known)}")


def checked_features(name: str, found: Any, texts: Sequence[str], width: int) -> FloatArray:
    """Return features as float32 ``(B, width)``.

    Args:
        name: The model's, for messages.
        found: What its ``encode`` has returned.
        texts: ``B`` texts that it was asked for.
        width: Poolings times its hidden size.

    Raises:
        ModelError: They are no numbers, too few or too many, or not finite.
    """
    cure = f"return a float32 array ({len(texts)}, {width}); dragoman.testing.check_model checks it"
    array = _numbers(name, "encode", found, cure)
    if array.shape != (len(texts), width):
        raise ModelError(
            f"encode of the model {name!r} returned shape {array.shape} for {len(texts)} texts, "
            f"but its hidden_size and the poolings ask for {(len(texts), width)}",
            cure=cure,
        )
    for row in np.flatnonzero(~np.isfinite(array).all(axis=1))[:1]:
        place = int(np.flatnonzero(~np.isfinite(array[row]))[0])
        raise ModelError(
            f"feature {place} of the model {name!r} is {array[row, place]} for the text "
            f"{_short(texts[row])}",
            cure="load the model in float32, which holds larger numbers, or take another layer",
        )
    return array


def checked_log_probs(
    name: str, found: Any, prompts: Sequence[str], candidates: Sequence[Sequence[str]]
) -> list[list[FloatArray]]:
    """Return log-probs of tokens, float32, an array a candidate.

    Args:
        name: The model's, for messages.
        found: What its ``token_log_probs`` has returned.
        prompts: What it was asked for.
        candidates: Of each prompt.

    Raises:
        ModelError: They are no numbers, too few or too many, or not finite.
    """
    cure = "return, for each prompt and candidate, a float32 array with one log-prob a token"
    rows = _counted(name, "token_log_probs", found, len(prompts), "prompts", cure)
    checked = []
    for prompt, own, answers in zip(prompts, candidates, rows, strict=True):
        one = _counted(name, "token_log_probs", answers, len(own), "candidates", cure)
        arrays = [_numbers(name, "token_log_probs", answer, cure) for answer in one]
        for candidate, array in zip(own, arrays, strict=True):
            if array.ndim != 1 or not np.isfinite(array).all():
                raise ModelError(
                    f"token_log_probs of the model {name!r} are {_short(array.tolist())} for "
                    f"{_short(candidate)} after {_short(prompt)}",
                    cure=cure + "; a finite one, also where a token is all but impossible",
                )
        checked.append(arrays)
    return checked


def checked_generations(name: str, found: Any, prompts: Sequence[str]) -> list[Generation]:
    """Return written texts, one a prompt.

    Args:
        name: The model's, for messages.
        found: What its ``generate`` has returned.
        prompts: What it was asked for.

    Raises:
        ModelError: They are no `Generation`, or too few or too many.
    """
    cure = "return one dragoman.Generation for each prompt"
    rows = _counted(name, "generate", found, len(prompts), "prompts", cure)
    for row in rows:
        if not isinstance(row, Generation) or not isinstance(row.text, str):
            raise ModelError(
                f"generate of the model {name!r} returned {_short(row)}, which is no Generation "
                "with a text",
                cure=cure,
            )
    return rows


def _counted(name: str, method: str, found: Any, count: int, of: str, cure: str) -> list[Any]:
    if isinstance(found, str) or not hasattr(found, "__iter__"):
        problem = f"returned {_short(found)}, which is no list"
    elif len(rows := list(found)) != count:
        problem = f"returned {len(rows)} answers for {count} {of}"
    else:
        return rows
    raise ModelError(f"{method} of the model {name!r} {problem}", cure=cure)


def _numbers(name: str, method: str, found: Any, cure: str) -> FloatArray:
    try:
        array: NDArray[Any] = np.asarray(found)
    # Rows of unequal length, and tensors that need gradients or live elsewhere.
    except (ValueError, TypeError, RuntimeError) as error:
        raise ModelError(
            f"{method} of the model {name!r} returned what is no array: {error}", cure=cure
        ) from error
    if array.dtype.kind not in "fiu":
        raise ModelError(
            f"{method} of the model {name!r} returned {_short(found)}, which are no numbers",
            cure=cure,
        )
    with np.errstate(over="ignore"):  # becomes infinite, which is said where it stands
        return array.astype(np.float32, copy=False)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= QUOTED else f"{text[:QUOTED]}..."
