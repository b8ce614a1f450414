"""How near the text of a state is to the text of a goal, by the model's embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from dragoman.errors import ConfigError
from dragoman.roles.reward.protocols import Preparation
from dragoman.settings import ONE_OR_MORE
from dragoman.types import FloatArray, LanguageModel, Pooling

SHARED: tuple[Pooling, ...] = ("last", "mean")
"""Poolings of the observe role by default."""

MEASURED_TEXTS = 256
"""Texts of random play that a spread or a threshold is measured on."""


@dataclass(frozen=True)
class GoalSimilarity:
    """Similarity to a goal, with the part that a baseline text explains projected out.

    ``r = 1 - |Pi(x - g)|^2 / 2`` with ``Pi = alpha * P + (1 - alpha) * I``, where x, g and b are
    embeddings of length one of state, goal and baseline, and P projects on the line through g
    and b (Rocamonde et al., 2024, "Vision-language models are zero-shot reward models", eq. 3
    and 4, there of images). With ``alpha`` 0 it is the cosine of x and g.

    Attributes:
        goal: The goal in words, best in the describer's own.
        baseline: A state that is not the goal, in the same words; ``None`` leaves out the
            projection.
        alpha: How much of the projection to use, from 0 to 1.
        layer: Hidden state after this many blocks; ``None`` means all.
        pooling: Which tokens become the embedding.
    """

    goal: str
    baseline: str | None = None
    alpha: float = 1.0
    layer: int | None = None
    pooling: Pooling = "mean"

    def __post_init__(self) -> None:
        _check_text("goal", self.goal)
        if not 0 <= self.alpha <= 1:
            raise ConfigError(f"alpha is {self.alpha}, but must be from 0 to 1", cure="mend alpha")
        if self.baseline == self.goal:
            raise ConfigError("goal and baseline are one text", cure="give another baseline")

    def __call__(self, texts: Sequence[str], *, model: LanguageModel) -> NDArray[np.float64]:
        """Return ``(B,)`` similarities, at most 1."""
        anchors = [self.goal] if self.baseline is None else [self.goal, self.baseline]
        vectors = embed(model, [*anchors, *texts], self.layer, self.pooling)
        goal, states = vectors[0], vectors[len(anchors) :]
        baseline = None if self.baseline is None else vectors[1]
        return goal_baseline(states, goal, baseline, self.alpha)

    def prepared(self, preparation: Preparation) -> tuple[GoalSimilarity, Mapping[str, Any]]:
        """Return itself, and how far apart the texts of random play are: 0 is a blind reward."""
        texts = preparation.distinct_texts(MEASURED_TEXTS)
        values = self(texts, model=preparation.model)
        return self, {
            "texts": len(texts),
            "mean": float(values.mean()),
            "spread": float(values.std()),
            "highest": float(values.max()),
            "nearest": texts[int(values.argmax())],
        }


@dataclass(frozen=True)
class GoalReached:
    """Pays once an episode for each goal that a text comes near enough to.

    The largest cosine to a goal that is above the threshold and was not reached before in the
    episode, else 0 (Du et al., 2023, "Guiding pretraining in reinforcement learning with large
    language models", there of captions of transitions whose action has succeeded, which texts of
    states do not show). All goals above the threshold count as reached. It has a memory, so it
    is a bonus and no potential.

    Attributes:
        goals: The goals in words.
        threshold: Least cosine that counts. Embeddings of one environment's texts are all alike,
            so choose it by `threshold_for` and not by feeling.
        layer: Hidden state after this many blocks; ``None`` means all.
        pooling: Which tokens become the embedding.
    """

    goals: Annotated[tuple[str, ...], ONE_OR_MORE]
    threshold: float = 0.99
    layer: int | None = None
    pooling: Pooling = "mean"

    def __post_init__(self) -> None:
        if not self.goals:
            raise ConfigError("there are no goals", cure="give at least one goal in words")
        for goal in self.goals:
            _check_text("a goal", goal)

    def __call__(
        self, texts: Sequence[str], *, model: LanguageModel, memory: Sequence[dict[str, Any]]
    ) -> NDArray[np.float64]:
        """Return ``(B,)`` rewards."""
        near = cosines(model, texts, self.goals, self.layer, self.pooling)
        rewards = np.zeros(len(texts))
        for i, own in enumerate(memory):
            reached = own.setdefault("reached", set())
            new = [j for j in np.flatnonzero(near[i] > self.threshold).tolist() if j not in reached]
            rewards[i] = max((near[i, j] for j in new), default=0.0)
            reached.update(new)
        return rewards

    def prepared(self, preparation: Preparation) -> tuple[GoalReached, Mapping[str, Any]]:
        """Return itself, and the share of the texts of random play that pass the threshold."""
        texts = preparation.distinct_texts(MEASURED_TEXTS)
        near = cosines(preparation.model, texts, self.goals, self.layer, self.pooling).max(axis=1)
        return self, {
            "texts": len(texts),
            "passing": float((near > self.threshold).mean()),
            "highest": float(near.max()),
        }


def goal_baseline(
    states: NDArray[np.floating],
    goal: NDArray[np.floating],
    baseline: NDArray[np.floating] | None,
    alpha: float,
) -> NDArray[np.float64]:
    """Return ``1 - |Pi(x - g)|^2 / 2`` of each state, see `GoalSimilarity`.

    Args:
        states: Embeddings of length one, ``(B, H)``.
        goal: Embedding of length one, ``(H,)``.
        baseline: Embedding of length one, ``(H,)``; nothing projects nothing.
        alpha: From 0, where it is the cosine, to 1.
    """
    away = np.asarray(states, np.float64) - goal
    if baseline is not None:
        line = np.asarray(goal, np.float64) - baseline
        squared = float(line @ line)
        if squared > 0:
            along = np.outer(away @ line / squared, line)
            away = alpha * along + (1 - alpha) * away
    distances: NDArray[np.float64] = 1.0 - 0.5 * (away**2).sum(axis=1)
    return distances


def cosines(
    model: LanguageModel,
    texts: Sequence[str],
    goals: Sequence[str],
    layer: int | None = None,
    pooling: Pooling = "mean",
) -> NDArray[np.float64]:
    """Return the cosine of each text and each goal, ``(B, K)``."""
    vectors = embed(model, [*goals, *texts], layer, pooling).astype(np.float64)
    result: NDArray[np.float64] = vectors[len(goals) :] @ vectors[: len(goals)].T
    return result


def threshold_for(
    model: LanguageModel,
    texts: Sequence[str],
    goals: Sequence[str],
    *,
    share: float = 0.01,
    layer: int | None = None,
    pooling: Pooling = "mean",
) -> float:
    """Return the threshold that only a share of some texts passes, such as those of random play.

    Args:
        model: The language model, whose embeddings decide what near means.
        texts: Texts of states, most of which are far from the goals.
        goals: The goals.
        share: The share that may pass.
        layer: As in `GoalReached`.
        pooling: As in `GoalReached`.
    """
    near = cosines(model, texts, goals, layer, pooling).max(axis=1)
    return float(np.quantile(near, 1.0 - share))


def embed(
    model: LanguageModel, texts: Sequence[str], layer: int | None, pooling: Pooling
) -> FloatArray:
    """Return embeddings of length one, ``(B, H)``."""
    vectors = features(model, texts, layer, pooling)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: FloatArray = vectors / np.maximum(lengths, np.float32(1e-12))
    return scaled


def features(
    model: LanguageModel, texts: Sequence[str], layer: int | None, pooling: Pooling
) -> FloatArray:
    """Return features ``(B, H)``, asked for as the observe role asks by default.

    So a text that both roles read takes one forward.
    """
    if model.num_layers == 0:
        # A server pools as it likes, and takes no other word than the default.
        return model.encode(texts, layer=layer)
    if pooling not in SHARED:
        return model.encode(texts, layer=layer, pooling=(pooling,))
    both = model.encode(texts, layer=layer, pooling=SHARED)
    return np.split(both, len(SHARED), axis=1)[SHARED.index(pooling)]


def _check_text(what: str, text: str) -> None:
    if not text.strip():
        raise ConfigError(f"{what} is an empty text", cure="say it in words")
