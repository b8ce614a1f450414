"""Scores of action texts after what describes a moment, for a policy or a prior over actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dragoman.describe.moment import Moment
from dragoman.models.score import score
from dragoman.roles.act.settings import Act
from dragoman.roles.act.tokens import answer_of, question_of
from dragoman.types import FloatArray


def scores_of(
    settings: Act,
    model: Any,
    count: int,
    moments: Sequence[Moment],
    options: Sequence[Mapping[int, str]],
) -> FloatArray:
    """Return scores of action texts, float32 ``(B, K)``; zero where not valid.

    Args:
        settings: How they are scored.
        model: The language model; nothing where the scores are uniform.
        count: Number of actions ``K``.
        moments: After which they are scored.
        options: The valid actions of each, with their texts.
    """
    result = np.zeros((len(options), count), np.float32)
    asked = [i for i, own in enumerate(options) if own]
    if settings.scores == "uniform" or not asked:
        return result
    scores = score(
        model,
        [question_of(settings, moments[i].text, model) for i in asked],
        [[answer_of(settings, text) for text in options[i].values()] for i in asked],
        normalisation=settings.normalisation,
        domain=settings.domain,
    )
    for i, own in zip(asked, scores, strict=True):
        result[i, list(options[i])] = own
    return result
