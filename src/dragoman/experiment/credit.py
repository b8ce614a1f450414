"""How the steps of an episode get their credit, as frozen data."""

from __future__ import annotations

from dataclasses import dataclass

import pydantic

from dragoman.errors import ConfigError
from dragoman.maths.credit import Rule, Scale
from dragoman.settings import check_fields, check_least

BY_RULE = pydantic.BeforeValidator(
    lambda value: {"use": value} if isinstance(value, str) else value
)
"""Lets a rule stand for itself with default settings."""


@dataclass(frozen=True)
class Credit:
    """By which rule a step's advantage is computed, see `dragoman.maths.credit`.

    Attributes:
        use: ``gae`` asks a critic. The other rules have none, and play whole episodes:
            ``returns`` compares a step with all others, ``grpo``, ``gigpo``, ``hgpo``,
            ``grouped-gae`` and ``q-v`` with those of episodes that began alike.
        copies: Copies of the environment that begin alike, a group (not for ``gae`` and
            ``returns``). The ``num_envs`` of the experiment are all groups together.
        groups: Number of groups, to be checked against ``num_envs``; it follows unless given.
        scale: Whether differences are over their standard deviation (``std``) or as they are
            (``mean``), in units of the reward.
        step_weight: Factor of what steps earn beside their episode (gigpo, hgpo, q-v).
        keep: Share of the variance of returns, of all groups, that the groups have which are
            learnt from, those of most variance first; 1 learns from all.
        history: Number of states before that a step may share with others (hgpo).
    """

    use: Rule = "gae"
    copies: int = 4
    groups: int | None = None
    scale: Scale = "std"
    step_weight: float = 1.0
    history: int = 2
    keep: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self, "credit")
        check_least(self, "credit", copies=2, groups=1, step_weight=0, history=0)
        if not 0 < self.keep <= 1:
            raise ConfigError(
                f"credit.keep is {self.keep}, but must be above 0 and at most 1",
                cure="set credit.keep to a share such as 0.9, or leave it out",
            )

    @property
    def plays_whole_episodes(self) -> bool:
        """Whether an update learns from whole episodes, without a critic."""
        return self.use != "gae"

    @property
    def compares_starts(self) -> bool:
        """Whether it compares episodes that began alike."""
        return self.use not in ("gae", "returns")

    @property
    def group_size(self) -> int:
        """How many copies begin alike."""
        return self.copies if self.compares_starts else 1

    def check(self, num_envs: int) -> None:
        """Refuse copies that do not fall into groups.

        Raises:
            ConfigError: They do not.
        """
        if not self.compares_starts:
            return
        groups = num_envs / self.copies if self.groups is None else self.groups
        if groups * self.copies != num_envs or groups != int(groups):
            raise ConfigError(
                f"num_envs is {num_envs}, but credit wants "
                f"{'groups' if self.groups is None else self.groups} of {self.copies} copies",
                cure=f"make num_envs a multiple of credit.copies, such as {2 * self.copies}",
            )
