"""Preferences as a reward: sample, annotate, fit, normalise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dragoman.errors import ConfigError, RewardError
from dragoman.maths.seeds import derive_seed
from dragoman.models.words import word_features
from dragoman.roles.reward.preferences.annotations import (
    Annotation,
    Asking,
    By,
    append_annotations,
    rates,
    read_annotations,
    sample_pairs,
)
from dragoman.roles.reward.protocols import Preparation
from dragoman.roles.reward.similarity import features
from dragoman.types import FloatArray, LanguageModel, Pooling


@dataclass(frozen=True)
class Preferences:
    """A reward network fitted to the model's choices between states of random play.

    Before the training, pairs of different texts are drawn from random play, the model chooses
    in both orders, and a Bradley-Terry reward is fitted to what it chose (Klissarov et al.,
    2024, "Motif"). Rewards are normalised by mean and standard deviation over the different
    texts, and are 0 below a quantile of them. In Motif they are a bonus divided by the cube of
    the episode's count of the text: ``shaping: bonus`` and ``count_power: 3`` of the term.

    Attributes:
        question: What is asked of a pair.
        task: What the prompt begins with.
        pairs: How many pairs are annotated.
        rollout_steps: Steps of random play that they are drawn from.
        by: ``logits`` compares the log-probs of "1" and "2", and a pair in which the order
            decides is a tie; ``odds`` takes the mean log-odds of both orders instead, for a small
            model that decides by the order nearly always; ``text`` reads what is written.
        max_tokens: Most tokens of what is written; a model that thinks first needs more.
        annotations: A file of JSON lines to keep the choices in and to take them from, where
            pair, wording and model are the same; in the run folder unless given.
        quantile: Rewards below this quantile are 0; ``None`` cuts nothing.
        hidden: Units of the network's hidden layer; 0 is linear.
        epochs: Most epochs of the fit.
        reads: ``hidden`` lets the network read the model's hidden states, or a server's
            embeddings; ``words`` lets it read which words are in a text, for servers that
            only write.
        layer: Hidden state that the network reads; ``None`` means the last.
        pooling: Which tokens it reads.
    """

    question: str
    task: str = ""
    pairs: int = 500
    rollout_steps: int = 2000
    by: By = "logits"
    max_tokens: int = 48
    annotations: str | None = None
    quantile: float | None = 0.5
    hidden: int = 64
    epochs: int = 200
    reads: Literal["hidden", "words"] = "hidden"
    layer: int | None = None
    pooling: Pooling = "mean"

    def __post_init__(self) -> None:
        least_of = {"pairs": 2, "rollout_steps": 1, "max_tokens": 1, "hidden": 0, "epochs": 1}
        for name, least in least_of.items():
            if getattr(self, name) < least:
                raise ConfigError(
                    f"{name} of the preferences is {getattr(self, name)}, "
                    f"but must be at least {least}",
                    cure=f"raise {name}",
                )
        if self.quantile is not None and not 0 <= self.quantile < 1:
            raise ConfigError(
                f"quantile is {self.quantile}, but must be from 0 to below 1", cure="mend quantile"
            )

    def __call__(self, texts: Sequence[str], *, model: LanguageModel) -> FloatArray:
        """Refuse: there is nothing to reward by before the preparation."""
        raise RewardError(
            "preferences were asked for a reward before they were fitted",
            cure="use them in an experiment, or call prepared first",
        )

    def prepared(self, preparation: Preparation) -> tuple[LearntReward, Mapping[str, Any]]:
        """Return the fitted reward, and how good the choices and the fit are."""
        # Only here, so that reading a configuration loads no torch.
        from dragoman.roles.reward.preferences.network import fit

        texts = preparation.distinct_texts(self.rollout_steps)
        seed = derive_seed("preferences", preparation.seed, preparation.name)
        asking = Asking(self.question, self.task, self.by, self.max_tokens)
        file = Path(
            self.annotations or preparation.folder / f"annotations-{preparation.name}.jsonl"
        )
        pairs = sample_pairs(texts, self.pairs, seed)
        chosen = annotated(pairs, asking, preparation.model, file)
        used = list(dict.fromkeys(text for item in chosen for text in (item.first, item.second)))
        rows = {text: row for row, text in enumerate(used)}
        read = self._features(used, preparation.model)
        fitted = fit(
            read,
            np.array([(rows[item.first], rows[item.second]) for item in chosen], dtype=np.int64),
            np.array([item.label for item in chosen]),
            hidden=self.hidden,
            epochs=self.epochs,
            seed=seed,
        )
        learnt = LearntReward(self, fitted.network)
        return learnt.normalised(read), {
            "texts": len(used),
            **rates(chosen),
            # Where every pair is a tie there is none to get right.
            "pair_accuracy": None if math.isnan(fitted.accuracy) else fitted.accuracy,
            "train_pair_accuracy": (
                None if math.isnan(fitted.train_accuracy) else fitted.train_accuracy
            ),
            "held_out_loss": fitted.loss,
            "epochs": fitted.epochs,
            "annotations": str(file),
            "prompt": asking.digest,
        }

    def restored(self, state: Mapping[str, NDArray[Any]]) -> LearntReward:
        """Return the fitted reward that `LearntReward.state` was saved of."""
        network = {
            name.removeprefix("network."): value
            for name, value in state.items()
            if name.startswith("network.")
        }
        mean, std, cut = state["normalisation"].tolist()
        return LearntReward(self, network, mean, std, cut)

    def _features(self, texts: Sequence[str], model: LanguageModel) -> FloatArray:
        if self.reads == "words":
            return word_features(texts)
        return features(model, texts, self.layer, self.pooling)


@dataclass(frozen=True)
class LearntReward:
    """A fitted preference reward.

    Attributes:
        settings: What it was fitted by.
        network: Weights by name.
        mean: Mean reward of the annotated texts.
        std: Its standard deviation over them.
        cut: Normalised reward at the quantile.
    """

    settings: Preferences
    network: Mapping[str, NDArray[np.floating]] = field(repr=False)
    mean: float = 0.0
    std: float = 1.0
    cut: float = -np.inf

    def __call__(self, texts: Sequence[str], *, model: LanguageModel) -> NDArray[np.float64]:
        """Return ``(B,)`` normalised rewards, 0 at and below the cut."""
        normalised = self._normalised(self.settings._features(texts, model))
        return np.where(normalised > self.cut, normalised, 0.0)

    def normalised(self, read: FloatArray) -> LearntReward:
        """Return it with mean, spread and cut of the annotated texts, ``(B, H)``."""
        from dragoman.roles.reward.preferences.network import evaluate

        raw = evaluate(self.network, read).astype(np.float64)
        scaled = replace(self, mean=float(raw.mean()), std=float(max(raw.std(), 1e-8)))
        if self.settings.quantile is None:
            return scaled
        cut = float(np.quantile(scaled._normalised(read), self.settings.quantile))
        return replace(scaled, cut=cut)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what must be saved to give the same rewards again."""
        network = {f"network.{name}": np.asarray(value) for name, value in self.network.items()}
        return {**network, "normalisation": np.array([self.mean, self.std, self.cut])}

    def _normalised(self, read: FloatArray) -> NDArray[np.float64]:
        from dragoman.roles.reward.preferences.network import evaluate

        raw = evaluate(self.network, read).astype(np.float64)
        return (raw - self.mean) / self.std


def annotated(
    pairs: Sequence[tuple[str, str]], asking: Asking, model: LanguageModel, file: Path
) -> list[Annotation]:
    """Return the choice of each pair: from the file where it is there, else from the model.

    New choices are appended to the file at once, so that none is asked for twice.
    """
    known = {
        (annotation.first, annotation.second): annotation
        for annotation in read_annotations(file)
        if (annotation.prompt, annotation.model) == (asking.digest, model.name)
    }
    new = [pair for pair in pairs if pair not in known]
    if new:
        answered = asking.annotate(new, model)
        append_annotations(file, answered)
        known |= {(item.first, item.second): item for item in answered}
    return [known[pair] for pair in pairs]
