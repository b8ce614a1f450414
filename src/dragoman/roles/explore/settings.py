"""The explore role: what counts as new, and how much it is worth in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import pydantic
from gymnasium.vector import VectorEnv

from dragoman.errors import ConfigError
from dragoman.maths.shaping import Schedule
from dragoman.models.spec import NamedModel
from dragoman.roles.control import Control, random_weights
from dragoman.roles.explore.goal_settings import Goals
from dragoman.roles.role import Context
from dragoman.settings import ONE_OR_MORE, check_fields
from dragoman.types import Pooling

if TYPE_CHECKING:
    from dragoman.roles.explore.vector import ExploreVector

MethodName: TypeAlias = Literal["e3b", "noveld", "rnd", "neighbours", "counts", "goals"]

LARGEST_SIZE = 128
"""Most numbers of the features: a step of E3B takes the square of it."""

WORDING = "the describer's wording; no pre-training"

NOISE = Control(
    name="noise-bonus",
    about="the bonus of another step, drawn by seed: as large and as frequent, and of no state",
    prior="none: when and how much bonus there is, and not where",
    overrides={"explore.placebo": "noise"},
)
EXACT = Control(
    name="exact-counts",
    about="1 / √visits of the exact observation as bonus, in the place of what a model knows",
    prior="none: which of the environment's own observations are equal",
    overrides={"explore.method": "counts", "explore.states": "exact"},
)


@dataclass(frozen=True)
class Explore:
    """A bonus for new states, which is added to the reward in training, and nowhere else.

    Attributes:
        method: How new a state is by the model's features: ``e3b`` in its episode, by an ellipsoid;
            ``neighbours`` in its episode, by the nearest states; ``rnd`` in the training, by a
            network that learns to predict another; ``noveld``, how much of that a step adds, once
            an episode. Or ``counts``, by visits in the training, without a model; or ``goals``,
            which a model proposes, once an episode.
        weight: What the bonus is multiplied by; ``{start, end, steps}`` moves over the training.
        normalise: Divide the bonus by the running standard deviation of its discounted sums, so
            that one weight serves all methods.
        states: What makes two states one where visits are counted: equal ``texts``, or ``exact``
            observations.
        layer: Hidden state after this many transformer blocks, as in `Observe`. What both roles
            ask alike is computed once.
        pooling: Which real tokens become features, as in `Observe`.
        size: Most numbers of the features; a random projection makes wider ones smaller.
        placebo: ``noise`` hands out the bonus of another step: a control of this role.
        model: The model that reads the states, instead of the experiment's.
        goals: What the method ``goals`` pays for.
    """

    method: MethodName = "e3b"
    weight: float | Schedule = 0.1
    normalise: bool = True
    states: Literal["texts", "exact"] = "texts"
    layer: int | None = None
    pooling: Annotated[tuple[Pooling, ...], ONE_OR_MORE] = ("last", "mean")
    size: int = LARGEST_SIZE
    placebo: Literal["noise"] | None = None
    model: NamedModel | None = None
    goals: Goals = Goals()

    def __post_init__(self) -> None:
        check_fields(self, "explore")
        if not self.pooling:
            raise ConfigError(
                "explore.pooling is empty, so no state has features", cure="write [last, mean]"
            )
        if not 1 <= self.size <= LARGEST_SIZE:
            raise ConfigError(
                f"explore.size is {self.size}, but must be from 1 to {LARGEST_SIZE}",
                cure=f"set explore.size to {LARGEST_SIZE}, or leave it out",
            )
        weight = self.weight
        least = min(weight.start, weight.end) if isinstance(weight, Schedule) else weight
        if least < 0:
            raise ConfigError(
                f"explore.weight is {self.weight}, which would punish what is new",
                cure="give numbers from 0 on",
            )

    @property
    def reads_features(self) -> bool:
        """Whether the method asks a model for features."""
        by_pattern = self.method == "goals" and self.goals.match == "pattern"
        return self.method != "counts" and not by_pattern

    @property
    def reads_texts(self) -> bool:
        """Whether states must be put into words."""
        return self.reads_features or self.states == "texts" or self.method == "goals"

    @property
    def uses_model(self) -> bool:
        """Whether the experiment's language model reads the states, or proposes goals."""
        proposes = self.method == "goals" and not self.goals.given and self.goals.proposer is None
        return proposes or (self.model is None and self.reads_features)

    @property
    def prior(self) -> str:
        """One line of what prior knowledge the role hands to the agent."""
        if not self.reads_texts:
            return EXACT.prior
        if not self.reads_features or (self.model is not None and self.model.knows_nothing):
            return WORDING
        return "the language model's pre-training; the describer's wording"

    @property
    def controls(self) -> tuple[Control, ...]:
        """Placebos: a bonus of no state, counts of exact observations, an untrained model."""
        if not self.reads_texts:
            return (NOISE,)
        if not self.reads_features:
            return (NOISE, EXACT)
        return (NOISE, EXACT, *random_weights("explore", self.model, WORDING))

    def wrap(self, env: VectorEnv[Any, Any, Any], context: Context) -> ExploreVector:
        """Return the vector environment whose rewards hold the bonus."""
        from dragoman.roles.explore.explorer import Explorer
        from dragoman.roles.explore.vector import ExploreVector

        space = env.single_observation_space
        return ExploreVector(env, Explorer(self, context.models, env.num_envs, space))


BY_METHOD = pydantic.BeforeValidator(
    lambda value: {"method": value} if isinstance(value, str) else value
)
"""Lets a method stand for the role with defaults."""
