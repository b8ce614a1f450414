"""The observe role: s_t = f(o_t), the language model as the agent's observation model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import gymnasium as gym
import numpy as np

from dragoman.describe.moment import Moment
from dragoman.errors import SpaceError
from dragoman.maths.moments import Moments
from dragoman.models.words import is_words
from dragoman.roles.observe.raw import RawState
from dragoman.roles.observe.settings import Observe
from dragoman.roles.observe.written import Part, WrittenFeatures
from dragoman.types import FloatArray, LanguageModel

CLIP = 10.0
"""Standardised features are clipped to plus or minus this many standard deviations."""


class AnyObserver(Protocol):
    """Moments in, what a policy reads out: one array, or a dictionary of arrays.

    Attributes:
        learning: Whether calls update what is learnt from features alone, such as their mean.
    """

    learning: bool

    @property
    def feature_space(self) -> gym.Space[Any]:
        """Space of what a call returns for each observation."""
        ...

    @property
    def models(self) -> Sequence[LanguageModel]:
        """The language models that read for it, whose cost is the run's."""
        ...

    def __call__(self, moments: Sequence[Moment]) -> Any:
        """Return what the policy reads of ``B`` moments."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """Return what must be saved to see the same features again."""
        ...

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what `state` returned."""
        ...


class Pooled:
    """Hidden states of a language model, as the observe role pools them.

    Args:
        model: The model.
        settings: Which layer, and which tokens.

    Attributes:
        size: How many numbers a text becomes.
    """

    def __init__(self, model: LanguageModel, settings: Observe) -> None:
        self.size = len(settings.pooling) * model.hidden_size
        self._encode = partial(model.encode, layer=settings.layer, pooling=settings.pooling)

    def __call__(self, moments: Sequence[Moment]) -> FloatArray:
        """Return the features of ``B`` moments, float32 ``(B, D)``."""
        return self._encode([moment.text for moment in moments])


class Observer:
    """Moments in, feature vectors out; one forward for the whole batch.

    Args:
        model: The language model f; nothing where ``settings`` pool nothing.
        settings: What becomes the state.
        space: The (unbatched) observation space.
        written: The features of ``settings.written``.

    Attributes:
        feature_space: Box ``(D,)`` of what a call returns for each observation.
        learning: Whether calls update the running statistics.
        moments: The running statistics of the features before standardisation.
    """

    def __init__(
        self,
        model: LanguageModel | None,
        settings: Observe,
        space: gym.Space[Any],
        written: Part | None = None,
    ) -> None:
        self.model = model
        self.settings = settings
        self.space = space
        parts: list[Part | None] = [
            None if model is None else Pooled(model, settings),
            RawState(space) if settings.raw else None,
            written,
        ]
        self._parts = [part for part in parts if part is not None]
        self._written = written if isinstance(written, WrittenFeatures) else None
        size = sum(part.size for part in self._parts)
        self._standardise = settings.standardise and not (model is not None and is_words(model))
        bound = CLIP if self._standardise else np.inf
        self.feature_space = gym.spaces.Box(-bound, bound, (size,), np.float32)
        self.learning = self._standardise
        self.moments = Moments.empty(size)

    @property
    def models(self) -> tuple[LanguageModel, ...]:
        """The language model that reads the observations, if one does."""
        return () if self.model is None else (self.model,)

    def __call__(self, moments: Sequence[Moment]) -> FloatArray:
        """Return the features of ``B`` moments, float32 ``(B, D)``."""
        features = np.concatenate([part(moments) for part in self._parts], axis=1)
        if not self._standardise:
            return features
        limit = self.settings.freeze_after
        if self.learning and (limit is None or self.moments.count < limit):
            self.moments = self.moments.merge(features)
        return self.moments.standardise(features, clip=CLIP)

    def state(self) -> dict[str, np.ndarray]:
        """Return what must be saved to see the same features again."""
        return self.moments.arrays() | ({} if self._written is None else self._written.state())

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what `state` returned.

        Raises:
            ConfigError: The program of ``written`` is another by now.
            SpaceError: The saved statistics belong to features of another size.
        """
        if self._written is not None:
            self._written.check_state(state)
        self.moments = restored(
            self.moments,
            state,
            what="the saved statistics",
            decide="model, layer, pooling and raw setting",
        )


def restored(
    moments: Moments, state: Mapping[str, np.ndarray], *, what: str, decide: str
) -> Moments:
    """Return saved moments of features as wide as these.

    Args:
        moments: Those of the features that are computed now.
        state: What `Moments.arrays` returned.
        what: What they are, for the message.
        decide: Which settings decide the width.

    Raises:
        SpaceError: They belong to features of another size.
    """
    if state["mean"].shape != moments.mean.shape:
        raise SpaceError(
            f"{what} have shape {state['mean'].shape}, these features have {moments.mean.shape}",
            cure=f"use the {decide} that the run was trained with",
        )
    return Moments.of_arrays(state)
