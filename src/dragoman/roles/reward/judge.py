"""A judge that answers in one word, read from the model's log-probs instead of its text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dragoman.errors import ConfigError
from dragoman.models.score import score
from dragoman.roles.reward.protocols import Preparation
from dragoman.types import LanguageModel

EMPTY = ("", "N/A", "nothing")
"""Observations that say nothing, against which answers are calibrated."""

MEASURED_TEXTS = 32
"""Texts of random play that biases are measured on."""

OBSERVATION_FIRST = "{task}\nObservation: {text}\nQuestion: {question} {options}\nAnswer:"
OBSERVATION_LAST = "{task}\nQuestion: {question} {options}\nObservation: {text}\nAnswer:"


@dataclass(frozen=True)
class Judge:
    """The model's judgement of a state, from 0 to 1, without a word being generated.

    Each answer is scored after the prompt, its log-prob after a prompt with an empty observation
    is taken off, and the softmax of what remains weighs the answers' values: contextual
    calibration (Zhao et al., 2021, "Calibrate before use"), with the mean over several empty
    observations. Answers are offered in both orders, and the two judgements averaged.

    Attributes:
        question: What is asked of the state, so that the last answer means the best state.
        task: What the prompt begins with.
        answers: From the worst to the best: two for yes or no, more for a scale. They are worth
            equal steps from 0 to 1.
        calibrated: Take off what the model would answer anyway.
        both_orders: Offer the answers in both orders, which takes twice the time.
    """

    question: str
    task: str = ""
    answers: tuple[str, ...] = ("no", "yes")
    calibrated: bool = True
    both_orders: bool = True

    def __post_init__(self) -> None:
        if not self.question.strip():
            raise ConfigError("the judge's question is empty", cure="ask something")
        if len(self.answers) < 2 or len(set(self.answers)) < len(self.answers):
            raise ConfigError(
                f"the judge's answers are {self.answers}",
                cure="give at least two different ones, from the worst to the best",
            )

    def __call__(self, texts: Sequence[str], *, model: LanguageModel) -> NDArray[np.float64]:
        """Return ``(B,)`` judgements from 0 to 1."""
        orders = self._orders() if self.both_orders else self._orders()[:1]
        result: NDArray[np.float64] = np.mean(
            [self._judged(texts, model, options, OBSERVATION_FIRST) for options in orders], axis=0
        )
        return result

    def prepared(self, preparation: Preparation) -> tuple[Judge, Mapping[str, Any]]:
        """Return itself, and its biases on texts of random play."""
        texts = preparation.distinct_texts(MEASURED_TEXTS)
        return self, self.biases(texts, model=preparation.model)

    def biases(self, texts: Sequence[str], *, model: LanguageModel) -> dict[str, Any]:
        """Return how much the judgement of some texts hangs on what should not matter.

        Returns:
            ``order_gap`` and ``order_flips``: mean difference of the judgements, and share of
            verdicts that change sides of 0.5, between the two orders of the answers.
            ``position_gap`` and ``position_flips``: the same between the observation before and
            behind the question. ``prior``: the probability of each answer where the observation
            is empty. ``spread``: standard deviation of the judgements over the texts.
        """
        forward, backward = self._orders()
        first = self._judged(texts, model, forward, OBSERVATION_FIRST)
        turned = self._judged(texts, model, backward, OBSERVATION_FIRST)
        last = self._judged(texts, model, forward, OBSERVATION_LAST)
        prior = np.exp(self._prior(model, forward, OBSERVATION_FIRST))
        return {
            "texts": len(texts),
            "order_gap": _gap(first, turned),
            "order_flips": _flips(first, turned),
            "position_gap": _gap(first, last),
            "position_flips": _flips(first, last),
            "prior": dict(zip(self.answers, (prior / prior.sum()).tolist(), strict=True)),
            "spread": float(self(texts, model=model).std()),
        }

    def _orders(self) -> list[str]:
        return [_offer(self.answers), _offer(self.answers[::-1])]

    def _judged(
        self, texts: Sequence[str], model: LanguageModel, options: str, layout: str
    ) -> NDArray[np.float64]:
        scores = self._scores(texts, model, options, layout)
        if self.calibrated:
            scores = scores - self._prior(model, options, layout)
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        judged: NDArray[np.float64] = (
            weights @ np.linspace(0.0, 1.0, len(self.answers)) / weights.sum(axis=1)
        )
        return judged

    def _prior(self, model: LanguageModel, options: str, layout: str) -> NDArray[np.float64]:
        """Return the log of the mean probability of each answer ``(K,)``, of empty observations."""
        scores = self._scores(EMPTY, model, options, layout)
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        logs: NDArray[np.float64] = np.log(
            (weights / weights.sum(axis=1, keepdims=True)).mean(axis=0) + 1e-12
        )
        return logs

    def _scores(
        self, texts: Sequence[str], model: LanguageModel, options: str, layout: str
    ) -> NDArray[np.float64]:
        """Return the log-prob of each answer after each text, ``(B, K)``."""
        prompts = [
            layout.format(task=self.task, text=text, question=self.question, options=options)
            for text in texts
        ]
        answers = [f" {answer}" for answer in self.answers]
        scored = score(model, [prompt.strip() for prompt in prompts], [answers] * len(prompts))  # type: ignore[arg-type]
        return np.array(scored, dtype=np.float64)


def _offer(answers: Sequence[str]) -> str:
    return f"({', '.join(answers[:-1])} or {answers[-1]})"


def _gap(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.abs(one - other).mean())


def _flips(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(((one > 0.5) != (other > 0.5)).mean())
