"""A language model that chooses states to return to and actions to try, by scoring texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dragoman.describe.moment import Moment
from dragoman.models.score import score
from dragoman.roles.explore.action_prior import ActionPrior
from dragoman.roles.explore.archive import Cell
from dragoman.roles.explore.guide import Guide

STATE = "{task}A promising situation to go on from:"
ANY_STATE = "A situation:"
OFFERED = 32
"""Most states that are scored for one choice."""


class ModelChoices:
    """Draws from the softmax of a model's scores; uniformly where the guide's are uniform.

    A state's score is the log-prob of its text, a token, after a question, less that after the
    mere word; an action's is that of the guide.

    Args:
        guide: How texts are scored.
        prior: The guide's prior over actions.
        model: The model that scores states; nothing where scores are uniform.
        task: What is to be done, if that is to be said.
        generator: Draws.
    """

    def __init__(
        self,
        guide: Guide,
        prior: ActionPrior,
        model: Any,
        task: str | None,
        generator: np.random.Generator,
    ) -> None:
        self.guide = guide
        self.prior = prior
        self.model = model
        self.generator = generator
        self._question = STATE.format(task="" if task is None else f"Task: {task}\n")

    def state(self, cells: Sequence[Cell]) -> int:
        """Return the place of a state, of all or of some that are drawn where they are many."""
        drawn = np.arange(len(cells))
        if len(cells) > OFFERED:
            drawn = np.sort(self.generator.choice(len(cells), OFFERED, replace=False))
        return int(drawn[self._drawn(self._scores([cells[int(i)].text for i in drawn]))])

    def action(self, moment: Moment, untried: Sequence[int]) -> int:
        """Return an action of those that were not tried."""
        (log_probs,) = self.prior([moment])
        return int(untried[self._drawn(log_probs[list(untried)].astype(np.float64))])

    def _scores(self, texts: Sequence[str]) -> NDArray[np.float64]:
        if self.guide.scores == "uniform":
            return np.zeros(len(texts))
        (scores,) = score(
            self.model,
            [self._question],
            [[f" {text}" for text in texts]],
            normalisation=self.guide.normalisation,
            domain=None if self.guide.domain is None else ANY_STATE,
        )
        return scores.astype(np.float64) / self.guide.temperature

    def _drawn(self, logits: NDArray[np.float64]) -> int:
        # The Gumbel-max trick draws from the softmax.
        return int((logits + self.generator.gumbel(size=logits.shape)).argmax())
