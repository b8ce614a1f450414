"""What of the language model the agent sees: settings and controls of the observe role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from gymnasium.vector import VectorEnv

from dragoman.errors import ConfigError
from dragoman.models.spec import NamedModel
from dragoman.roles.control import Control, learned_embedding, random_weights
from dragoman.roles.role import Models
from dragoman.settings import ONE_OR_MORE, check_fields
from dragoman.types import Pooling

if TYPE_CHECKING:
    from dragoman.roles.observe.observer import AnyObserver

PRIOR = "the describer's wording; no pre-training"


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
            Counts of words stay as they are: a rare word would lie ten deviations from its mean.
        freeze_after: Steps of random play before a training that the statistics are made of; they
            stand still then, so that the policy's inputs do not move under it. ``None`` means
            1,024, or as many as the training has. Outside of a training, how many observations
            they are made of; ``None`` never stops.
        model: The model that reads the observations, instead of the experiment's. ``words`` leaves
            it to the rewards to learn what the text means: the control that separates the model's
            knowledge from having text at all.
    """

    layer: int | None = None
    pooling: Annotated[tuple[Pooling, ...], ONE_OR_MORE] = ("last", "mean")
    raw: bool = False
    standardise: bool = True
    freeze_after: int | None = None
    model: NamedModel | None = None

    def __post_init__(self) -> None:
        check_fields(self, "observe")
        if not self.pooling:
            raise ConfigError(
                "observe.pooling is empty, so nothing would be seen", cure="write [last, mean]"
            )
        if self.freeze_after is not None and self.freeze_after < 1:
            raise ConfigError(
                f"observe.freeze_after is {self.freeze_after}, but must be at least 1",
                cure="raise observe.freeze_after, or leave it out",
            )

    @property
    def uses_model(self) -> bool:
        """Whether the text is read by the experiment's language model."""
        return self.model is None

    @property
    def prior(self) -> str:
        """One line of what prior knowledge the role hands to the agent."""
        if self.model is not None and self.model.knows_nothing:
            return PRIOR
        return "the language model's pre-training; the describer's wording"

    @property
    def controls(self) -> tuple[Control, ...]:
        """Placebos: an untrained model, and an embedding that knows the text alone."""
        return (
            *random_weights("observe", self.model, PRIOR),
            *learned_embedding(("observe",), self.model, PRIOR),
        )

    def observer(
        self, env: VectorEnv[Any, Any, Any], models: Models, below: AnyObserver | None
    ) -> AnyObserver:
        """Return what makes features of moments; nothing stands below it."""
        from dragoman.roles.observe.observer import Observer

        model = models.of(self.model)
        assert model is not None
        return Observer(model, self, env.single_observation_space)
