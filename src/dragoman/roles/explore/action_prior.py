"""The prior of the guide role at work: moments in, log-probs of all actions out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from scipy.special import log_softmax

from dragoman.describe.moment import Moment
from dragoman.roles.act.action_set import ActionSet
from dragoman.roles.act.levels import Levels
from dragoman.roles.act.scores import scores_of
from dragoman.roles.act.settings import Act
from dragoman.roles.explore.recent import Recent
from dragoman.roles.observe.observer import AnyObserver
from dragoman.types import FloatArray, LanguageModel

PRIOR = "prior"
"""Key of an observation under which the log-probs stand."""

REMEMBERED = 50_000
"""Most states whose log-probs are remembered: the model's own memory takes longer to ask."""


class ActionPrior:
    """A language model's distribution over the valid actions.

    Args:
        scoring: How texts are scored.
        space: The (unbatched) action space.
        model: The language model; nothing where the prior is uniform.
        seed: Draws what shuffled texts are.

    Attributes:
        actions: The action set.
        levels: What calibration subtracts, where it is asked for.
    """

    def __init__(
        self, scoring: Act, space: gym.Space[Any], model: LanguageModel | None, seed: int
    ) -> None:
        self.scoring = scoring
        self.model = model
        self.actions = ActionSet(scoring, space, seed)
        self.levels = Levels(self.actions.count) if scoring.calibrate else None
        self._known = Recent[tuple[str, tuple[tuple[int, str], ...]], FloatArray](REMEMBERED)

    def __call__(self, moments: Sequence[Moment]) -> FloatArray:
        """Return log p of all actions, float32 ``(B, K)``; zero where not valid."""
        options = [self.actions.texts(moment) for moment in moments]
        keys = [
            (moment.text, tuple(own.items())) for moment, own in zip(moments, options, strict=True)
        ]
        known = np.stack(
            self._known(
                keys, lambda new: self._found([moments[i] for i in new], [options[i] for i in new])
            )
        )
        return (
            known if self.levels is None else self._log_probs(self.levels(known, options), options)
        )

    def forget(self) -> None:
        """Forget what is known."""
        self._known.forget()

    def _found(self, moments: Sequence[Moment], options: Sequence[Mapping[int, str]]) -> FloatArray:
        """Return what is remembered: log-probs, or scores where their levels move."""
        scores = scores_of(self.scoring, self.model, self.actions.count, moments, options)
        return scores if self.levels is not None else self._log_probs(scores, options)

    def _log_probs(self, scores: FloatArray, options: Sequence[Mapping[int, str]]) -> FloatArray:
        logits = scores.astype(np.float64) / self.scoring.temperature
        result = np.zeros_like(scores)
        for row, own, into in zip(logits, options, result, strict=True):
            if own:
                valid = list(own)
                into[valid] = log_softmax(row[valid])
        return result


class GuidedObserver:
    """What another observer makes of moments, and the prior beside it.

    Args:
        below: The act role's observer.
        prior: The prior.
    """

    resumes = ("below",)

    def __init__(self, below: AnyObserver, prior: ActionPrior) -> None:
        self.below = below
        self.prior = prior
        assert isinstance(below.feature_space, gym.spaces.Dict)
        log_probs = gym.spaces.Box(-np.inf, 0, (prior.actions.count,), np.float32)
        self.feature_space = gym.spaces.Dict({**below.feature_space.spaces, PRIOR: log_probs})

    @property
    def models(self) -> tuple[LanguageModel, ...]:
        """The language models that read observations and actions."""
        own = () if self.prior.model is None else (self.prior.model,)
        return (*self.below.models, *own)

    @property
    def learning(self) -> bool:
        """Whether statistics take in what is met."""
        levels = self.prior.levels
        return self.below.learning or (levels is not None and levels.learning)

    @learning.setter
    def learning(self, on: bool) -> None:
        self.below.learning = on
        if self.prior.levels is not None:
            self.prior.levels.learning = on

    def learn(self, moments: Sequence[Moment]) -> None:
        """Take in moments; the prior only where something is learnt from it."""
        getattr(self.below, "learn", self.below)(moments)
        if self.prior.levels is not None:
            self.prior(moments)

    def __call__(self, moments: Sequence[Moment]) -> dict[str, np.ndarray]:
        """Return what the policy sees of ``B`` moments."""
        return {**self.below(moments), PRIOR: self.prior(moments)}

    def forget(self) -> None:
        """Forget the priors that are known."""
        self.prior.forget()

    def state(self) -> dict[str, np.ndarray]:
        """Return what must be saved to see the same again."""
        levels = self.prior.levels
        own = {} if levels is None else {f"guide.{name}": a for name, a in levels.state().items()}
        return {**self.below.state(), **own}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what `state` returned."""
        self.below.load_state(state)
        if self.prior.levels is not None:
            self.prior.levels.load_state(
                {name: state[f"guide.{name}"] for name in self.prior.levels.state()}
            )
