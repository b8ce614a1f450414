"""The observe role: s_t = f(o_t), the language model as the agent's observation model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import gymnasium as gym
import numpy as np

from dragoman.errors import SpaceError
from dragoman.maths.moments import Moments
from dragoman.roles.controls import Control
from dragoman.roles.raw import RawState
from dragoman.types import Describer, FloatArray, Info, LanguageModel, Pooling
from dragoman.yaml12 import ONE_OR_MORE

CLIP = 10.0
"""Standardised features are clipped to plus or minus this many standard deviations."""

CONTROLS = (
    Control(
        name="random-weights",
        about="the same architecture and tokenizer with random initial weights, drawn by seed",
        prior="the describer's wording; no pre-training",
        overrides={"model.weights": "random"},
    ),
    Control(
        name="learned-embedding",
        about="the same text through an embedding of its tokens that is trained by rewards alone",
        prior="the describer's wording; no pre-training",
        overrides={"observe.encoder": "embedding"},
    ),
)


@dataclass(frozen=True)
class Observe:
    """What of the language model the agent sees.

    Attributes:
        layer: Hidden state after this many transformer blocks; the blocks above are not
            computed. ``None`` means all of them, negative numbers count from the end.
        pooling: Which real tokens become features; several stand side by side.
        raw: Put the flattened raw observation beside the features.
        standardise: Subtract the running mean and divide by the running standard deviation,
            clipped to ±10. The statistics are saved with the run and stand still in evaluation.
        freeze_after: Stop updating the statistics once they have seen this many observations,
            so that the policy's inputs stop moving. ``None`` never stops.
        encoder: ``model`` reads the text with the language model. ``embedding`` reads its
            tokens through a table that the rewards train (`dragoman.roles.embedding`): the
            control that tells the model's knowledge from having text at all. It has no layer
            and no running statistics.
        width: Width of one row of that table; ``None`` takes the model's hidden size.
        max_tokens: Most tokens of a text that the table reads.
    """

    controls: ClassVar[tuple[Control, ...]] = CONTROLS
    prior: ClassVar[str] = "the language model's pre-training; the describer's wording"

    layer: int | None = None
    pooling: Annotated[tuple[Pooling, ...], ONE_OR_MORE] = ("last", "mean")
    raw: bool = False
    standardise: bool = True
    freeze_after: int | None = None
    encoder: Literal["model", "embedding"] = "model"
    width: int | None = None
    max_tokens: int = 128

    @property
    def uses_model(self) -> bool:
        """Whether the text is read by the language model."""
        return self.encoder == "model"


def describe_all(
    describer: Describer, observations: Sequence[Any], infos: Sequence[Info]
) -> list[str]:
    """Return the text of each observation."""
    return [
        describer.observation(observation, info)
        for observation, info in zip(observations, infos, strict=True)
    ]


class Observer:
    """Observations and infos in, feature vectors out; one forward for the whole batch.

    Args:
        model: The language model f.
        describer: Turns one observation into the text that f reads.
        settings: What of the model becomes the state.
        space: The (unbatched) observation space.

    Attributes:
        feature_space: Box ``(D,)`` of what a call returns for each observation.
        learning: Whether calls update the running statistics.
        moments: The running statistics of the features before standardisation.
    """

    def __init__(
        self,
        model: LanguageModel,
        describer: Describer,
        settings: Observe,
        space: gym.Space[Any],
    ) -> None:
        self._raw = RawState(space) if settings.raw else None
        self.model = model
        self.describer = describer
        self.settings = settings
        self.space = space
        size = len(settings.pooling) * model.hidden_size + (self._raw.size if self._raw else 0)
        bound = CLIP if settings.standardise else np.inf
        self.feature_space = gym.spaces.Box(-bound, bound, (size,), np.float32)
        self.learning = True
        self.moments = Moments.empty(size)

    def texts(self, observations: Sequence[Any], infos: Sequence[Info]) -> list[str]:
        """Return what the model reads of each observation."""
        return describe_all(self.describer, observations, infos)

    def __call__(self, observations: Sequence[Any], infos: Sequence[Info]) -> FloatArray:
        """Return the features of ``B`` observations, float32 ``(B, D)``."""
        features = self.model.encode(
            self.texts(observations, infos),
            layer=self.settings.layer,
            pooling=self.settings.pooling,
        )
        if self._raw is not None:
            features = np.concatenate([features, self._raw(observations, infos)], axis=1)
        if not self.settings.standardise:
            return features
        limit = self.settings.freeze_after
        if self.learning and (limit is None or self.moments.count < limit):
            self.moments = self.moments.merge(features)
        return self.moments.standardise(features, clip=CLIP)

    def state(self) -> dict[str, np.ndarray]:
        """Return what must be saved to see the same features again."""
        return self.moments.arrays()

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what `state` returned.

        Raises:
            SpaceError: The saved statistics belong to features of another size.
        """
        if state["mean"].shape != self.moments.mean.shape:
            raise SpaceError(
                f"the saved statistics have shape {state['mean'].shape}, "
                f"these features have {self.moments.mean.shape}",
                cure="use the model, layer, pooling and raw setting that the run was trained with",
            )
        self.moments = Moments.of_arrays(state)
