"""From log-probs of tokens to one score a candidate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from dragoman.errors import ConfigError, did_you_mean
from dragoman.types import FloatArray

if TYPE_CHECKING:
    from torch import Tensor

Scores = TypeVar("Scores", FloatArray, "Tensor")
Normalisation: TypeAlias = Literal["sum", "token", "word"]
"""By what the log-probability of a candidate is divided: nothing, its tokens or its words."""


def normalise(
    token_log_probs: Sequence[FloatArray], texts: Sequence[str], how: Normalisation = "sum"
) -> FloatArray:
    """Return one score a candidate: the sum of its tokens' log-probs, normalised.

    The sum is the candidate's log-probability, which favours short ones. The mean over tokens
    takes that away, but depends on how the tokenizer cuts; the mean over words does not.

    Args:
        token_log_probs: Of each of ``K`` candidates, the log-probs of its tokens.
        texts: The candidates' texts, whose words are counted.
        how: What to divide by.

    Returns:
        float32 array ``(K,)``.

    Raises:
        ConfigError: There is no such normalisation.
    """
    sums = np.array(
        [np.sum(token_log_prob, dtype=np.float64) for token_log_prob in token_log_probs]
    )
    counts = divisors([len(token_log_prob) for token_log_prob in token_log_probs], texts, how)
    return (sums / counts).astype(np.float32)


def divisors(
    tokens: Sequence[int], texts: Sequence[str], how: Normalisation
) -> NDArray[np.float64]:
    """Return by what the log-prob of each candidate is divided, ``(K,)``.

    Args:
        tokens: Number of tokens of each of ``K`` candidates.
        texts: Their texts, whose words are counted.
        how: What to divide by.

    Raises:
        ConfigError: There is no such normalisation.
    """
    if how == "sum":
        return np.ones(len(tokens))
    if how == "token":
        return np.array(tokens, dtype=np.float64)
    if how == "word":
        return np.array([max(len(text.split()), 1) for text in texts], dtype=np.float64)
    known = get_args(Normalisation)
    raise ConfigError(
        f"there is no normalisation {how!r}{did_you_mean(how, known)}",
        cure=f"choose from {', '.join(known)}",
    )


def domain_pmi(scores: Scores, domain_scores: Scores) -> Scores:
    """Return how much more likely candidates are here than in the domain at large.

    The domain-conditional pointwise mutual information of Holtzman et al. (2021): log-prob
    given the prompt minus log-prob given a prompt that only names the domain. It takes away
    that some candidates are likely anywhere.

    Args:
        scores: Log-probs given the prompt, an array or a tensor.
        domain_scores: Log-probs given the domain prompt, of the same shape.
    """
    return scores - domain_scores
