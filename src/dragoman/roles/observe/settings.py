"""What of the language model the agent sees: settings and controls of the observe role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from dragoman.roles.control import Control
from dragoman.types import Pooling
from dragoman.yaml12 import ONE_OR_MORE

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
            tokens through a table that the rewards train (`dragoman.roles.observe.embedding`): the
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
