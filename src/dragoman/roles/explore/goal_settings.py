"""Settings of suggested goals."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from dragoman.errors import ConfigError
from dragoman.models.spec import NamedModel
from dragoman.settings import ONE_OR_MORE, check_fields


@dataclass(frozen=True)
class Goals:
    """What the method ``goals`` pays for.

    Attributes:
        task: What the agent should do, told to the proposer; ``describe.goal`` unless given.
        given: Goals of your own, instead of asking a model.
        match: How a step is compared with a goal: by ``embedding``, or as a ``pattern`` (regular
            expression) that a goal of your own is, which needs no model.
        count: Most goals of one context.
        context: When the proposer is asked: once for the ``task`` and the actions that there are,
            or for each ``start`` of an episode that differs.
        threshold: Least cosine that counts as reached. Unless given it is measured, by
            `dragoman.roles.reward.similarity.threshold_for`, on the first 256 changes.
        share: Share of these that may count as reached.
        max_tokens: Most tokens of a proposal.
        proposer: The model that proposes, here or behind a server, instead of the experiment's.
    """

    task: str | None = None
    given: Annotated[tuple[str, ...], ONE_OR_MORE] = ()
    match: Literal["embedding", "pattern"] = "embedding"
    count: int = 8
    context: Literal["task", "start"] = "task"
    threshold: float | None = None
    share: float = 0.02
    max_tokens: int = 160
    proposer: NamedModel | None = None

    def __post_init__(self) -> None:
        check_fields(self, "explore.goals")
        for name, low, high in (
            ("count", 1, 1000),
            ("max_tokens", 1, 100_000),
            ("threshold", -1, 1),
            ("share", 0, 1),
        ):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ConfigError(
                    f"explore.goals.{name} is {value}, but must be from {low} to {high}",
                    cure=f"mend explore.goals.{name}",
                )
        if not all(goal.strip() for goal in self.given):
            raise ConfigError(
                "explore.goals.given has an empty goal", cure="say each goal in words"
            )
        if self.match == "pattern":
            self._check_patterns()

    def _check_patterns(self) -> None:
        if not self.given:
            raise ConfigError(
                "explore.goals.match is 'pattern', but no goals are given, and models propose none",
                cure="write explore.goals.given, or match by embedding",
            )
        for goal in self.given:
            try:
                re.compile(goal)
            except re.error as error:
                raise ConfigError(
                    f"the goal {goal!r} is no regular expression: {error}",
                    cure="mend it, or match by embedding",
                ) from None
