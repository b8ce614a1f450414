"""What the agent sees: settings and controls of the observe role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from gymnasium.vector import VectorEnv

from dragoman.errors import ConfigError
from dragoman.models.spec import NamedModel
from dragoman.roles.control import Control, learned_embedding, random_weights
from dragoman.roles.observe.written import Written
from dragoman.roles.role import Models
from dragoman.settings import ONE_OR_MORE, check_fields
from dragoman.types import Pooling

if TYPE_CHECKING:
    from dragoman.roles.observe.observer import AnyObserver

WORDING = "the describer's wording"
PRIOR = f"{WORDING}; no pre-training"
RANDOM = Control(
    "random-features",
    about="as many random functions of the same numbers, drawn by seed",
    prior="none: random functions of the environment's own numbers",
    overrides={"observe.written.random": True},
)


@dataclass(frozen=True)
class Observe:
    """What the agent sees: of the language model, of the numbers, of what a program says.

    Attributes:
        layer: Hidden state after this many transformer blocks; the blocks above are not
            computed. ``None`` means all of them, negative numbers count from the end.
        pooling: Which real tokens become features; several stand side by side. None of them,
            ``[]``, leaves the model and its texts out, so that ``raw`` or ``written`` is seen.
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
        written: Put the features of a program that a model wrote beside the others.
    """

    layer: int | None = None
    pooling: Annotated[tuple[Pooling, ...], ONE_OR_MORE] = ("last", "mean")
    raw: bool = False
    standardise: bool = True
    freeze_after: int | None = None
    model: NamedModel | None = None
    written: Written | None = None

    def __post_init__(self) -> None:
        check_fields(self, "observe")
        if not (self.pooling or self.raw or self.written):
            raise ConfigError(
                "observe.pooling is empty, so nothing would be seen",
                cure="write [last, mean], or set observe.raw or observe.written",
            )
        if self.model is not None and not self.pooling:
            raise ConfigError(
                f"observe.model is {self.model.name}, but observe.pooling is empty, so it would "
                "read nothing",
                cure="leave one of them out",
            )
        if self.freeze_after is not None and self.freeze_after < 1:
            raise ConfigError(
                f"observe.freeze_after is {self.freeze_after}, but must be at least 1",
                cure="raise observe.freeze_after, or leave it out",
            )

    @property
    def reads_texts(self) -> bool:
        """Whether a model reads what is described."""
        return bool(self.pooling)

    @property
    def uses_model(self) -> bool:
        """Whether the text is read by the experiment's language model."""
        return self.reads_texts and self.model is None

    @property
    def prior(self) -> str:
        """One line of what prior knowledge the role hands to the agent."""
        knows_nothing = self.model is not None and self.model.knows_nothing
        read = PRIOR if knows_nothing else "the language model's pre-training; " + WORDING
        parts = [read] if self.reads_texts else []
        if self.written is not None:
            parts.append(RANDOM.prior if self.written.random else "what the program's author knows")
        return "; ".join(parts) or "none: the environment's own numbers"

    @property
    def controls(self) -> tuple[Control, ...]:
        """Placebos: an untrained model, an embedding that knows the text alone, other features."""
        controls: tuple[Control, ...] = ()
        if self.reads_texts:
            controls += random_weights("observe", self.model, PRIOR)
            controls += learned_embedding(("observe",), self.model, PRIOR)
        if self.written is not None and not self.written.random:
            controls += (RANDOM,)
        return controls

    def check(self, env: VectorEnv[Any, Any, Any]) -> None:
        """Refuse a program that cannot be used.

        Raises:
            ConfigError, SpaceError, MissingExtraError: As in `Written.fitted`.
        """
        if self.written is not None:
            self.written.fitted(env, seed=0)

    def observer(
        self, env: VectorEnv[Any, Any, Any], models: Models, below: AnyObserver | None
    ) -> AnyObserver:
        """Return what makes features of moments; nothing stands below it."""
        from dragoman.roles.observe.observer import Observer

        model = models.of(self.model) if self.reads_texts else None
        written = None if self.written is None else self.written.fitted(env, models.seed)
        return Observer(model, self, env.single_observation_space, written)
