"""Features of action texts, for policies that choose actions by what they are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from dragoman.maths.moments import Moments
from dragoman.models.words import is_words
from dragoman.roles.act.settings import Act
from dragoman.roles.observe.observer import CLIP, restored
from dragoman.roles.observe.settings import Observe
from dragoman.types import FloatArray, LanguageModel


class ModelFeatures:
    """Action texts through the language model.

    They are standardised as the state's are, by the moments of the distinct texts met in
    training: how often an action is offered says nothing of how texts differ.

    Args:
        settings: The act role.
        observe: The observe role, for depth and standardisation.
        model: The language model.
        count: Number of actions ``K``.

    Attributes:
        space: What a call returns for each observation.
        learning: Whether the moments take in what is met.
    """

    def __init__(self, settings: Act, observe: Observe, model: LanguageModel, count: int) -> None:
        self.settings = settings
        self.observe = observe
        self.model = model
        width = len(settings.pooling) * model.hidden_size
        self._standardise = observe.standardise and not is_words(model)
        self.learning = self._standardise
        bound = CLIP if self._standardise else np.inf
        self.space: gym.spaces.Box = gym.spaces.Box(-bound, bound, (count, width), np.float32)
        self._met: set[str] = set()
        self._moments = Moments.empty(width)

    def __call__(self, options: Sequence[Mapping[int, str]]) -> FloatArray:
        """Return features, float32 ``(B, K, D_a)``; zero where not valid."""
        return placed(options, self.space, self._encoded)

    def state(self) -> dict[str, np.ndarray]:
        """Return what must be saved to see the same features again."""
        return {f"actions.{name}": array for name, array in self._moments.arrays().items()}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what `state` returned.

        Raises:
            SpaceError: The saved statistics belong to features of another size.
        """
        self._moments = restored(
            self._moments,
            {name: state[f"actions.{name}"] for name in self._moments.arrays()},
            what="the saved statistics of actions",
            decide="model, layer and pooling",
        )

    def _encoded(self, texts: list[str]) -> FloatArray:
        features = self.model.encode(
            [self.settings.template.replace("{action}", text) for text in texts],
            layer=self.observe.layer,
            pooling=self.settings.pooling,
        )
        if not self._standardise:
            return features
        new = [i for i, text in enumerate(texts) if text not in self._met]
        if self.learning and new:
            self._met.update(texts)
            self._moments = self._moments.merge(features[new])
        return self._moments.standardise(features, clip=CLIP)


def placed(
    options: Sequence[Mapping[int, str]],
    space: gym.Space[Any],
    read: Callable[[list[str]], FloatArray],
) -> FloatArray:
    """Return what is read of action texts, each once, at the places of the actions; else zero.

    Args:
        options: The valid actions of each observation, with their texts.
        space: What is returned for each observation.
        read: Reads distinct texts.
    """
    result = np.zeros((len(options), *(space.shape or ())), np.float32)
    texts = list(dict.fromkeys(text for own in options for text in own.values()))
    if not texts:
        return result
    rows = read(texts)
    where = {text: i for i, text in enumerate(texts)}
    for row, own in zip(result, options, strict=True):
        if own:
            row[list(own)] = rows[[where[text] for text in own.values()]]
    return result
