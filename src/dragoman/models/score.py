"""One score a candidate text, after a prompt."""

from __future__ import annotations

from collections.abc import Sequence

from dragoman.maths.likelihood import Normalisation, domain_pmi, normalise
from dragoman.types import FloatArray, ScoringModel


def score(
    model: ScoringModel,
    prompts: Sequence[str],
    candidates: Sequence[Sequence[str]],
    *,
    normalisation: Normalisation = "sum",
    domain: str | None = None,
) -> list[FloatArray]:
    """Return how likely the model finds each candidate after its prompt.

    Args:
        model: A model that gives log-probs of tokens.
        prompts: ``B`` texts.
        candidates: Candidate texts of each prompt; their numbers may differ.
        normalisation: ``sum`` for log-probabilities, or their mean a ``token`` or a ``word``.
        domain: A prompt that only names the domain, such as ``"The robot should"``. The
            candidates' scores after it are taken off (domain-conditional PMI), which corrects
            for candidates that are likely anywhere.

    Returns:
        For each prompt a float32 array with one score a candidate.

    Raises:
        ConfigError: There is no such normalisation, or a candidate is empty.
        ModelError: The model cannot score, or a text is too long.
    """

    def scores_of(texts: Sequence[str]) -> list[FloatArray]:
        result = model.token_log_probs(texts, candidates)
        return [
            normalise(log_probs, own, normalisation)
            for log_probs, own in zip(result, candidates, strict=True)
        ]

    scores = scores_of(prompts)
    if domain is None:
        return scores
    return [
        domain_pmi(here, anywhere)
        for here, anywhere in zip(scores, scores_of([domain] * len(prompts)), strict=True)
    ]
