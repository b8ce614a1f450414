"""The act role's policy in the words of Stable-Baselines3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import gymnasium as gym
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor

from dragoman.engines.optimizer import Masters, groups_of
from dragoman.roles.act.masked import MaskedCategorical
from dragoman.roles.act.penalty import divergence as divergence_of
from dragoman.roles.act.penalty import with_penalty
from dragoman.roles.act.policy import ActionPolicy
from dragoman.roles.act.settings import Act
from dragoman.roles.explore.guide import Guide
from dragoman.roles.explore.mixture import WEIGHT, mixture_of, prior_of, weighed

Observed: TypeAlias = dict[str, Tensor]


class ActPolicy(ActorCriticPolicy):
    """An actor-critic policy of Stable-Baselines3 that is an `ActionPolicy` inside.

    Args:
        observation_space: What the act role's observer returns.
        action_space: The (unbatched) action space.
        lr_schedule: Learning rate by the share of the training that is left.
        make: Makes the policy for these two spaces.
        act: The act role.
        guide: The guide role, if any.
        settings: Keyword arguments of `ActorCriticPolicy`.

    Attributes:
        guide_weight: The guide's weight at the moment.
    """

    policy: ActionPolicy
    last_penalty: float | None = None
    last_divergence: float | None = None
    guide_weight: float = 0.0

    def __init__(
        self,
        observation_space: gym.Space[Any],
        action_space: gym.Space[Any],
        lr_schedule: Callable[[float], float],
        *,
        make: Callable[[gym.Space[Any], gym.Space[Any]], ActionPolicy],
        act: Act,
        guide: Guide | None = None,
        **settings: Any,
    ) -> None:
        self._make = make
        self._act = act
        self._guide = guide
        super().__init__(observation_space, action_space, lr_schedule, **settings)

    def _build(self, lr_schedule: Callable[[float], float]) -> None:
        self.policy = self._make(self.observation_space, self.action_space)
        make: Any = self.optimizer_class
        rate = lr_schedule(1)
        if self._act.tune is None:
            trained = [p for p in self.policy.parameters() if p.requires_grad]
            self.optimizer = make(trained, lr=rate, **self.optimizer_kwargs)
            return
        groups = groups_of(self.policy, self._act.tune, rate)
        self.optimizer = Masters(groups, make, lr=rate, **self.optimizer_kwargs)

    def forward(self, obs: Any, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Return actions, values ``(B,)`` and log-probs ``(B,)``."""
        inputs, values = self.policy(obs)
        distribution = self._as_theirs(inputs)
        if self._guide is not None and self._guide.use == "mixture" and not deterministic:
            mixture = mixture_of(self._categorical(inputs), prior_of(obs), self.guide_weight)
            actions = mixture.sample()  # type: ignore[no-untyped-call]
        else:
            actions = distribution.get_actions(deterministic=deterministic)
        log_probs = distribution.log_prob(actions)
        return actions.reshape(-1, *(self.action_space.shape or ())), values, log_probs

    def evaluate_actions(self, obs: Any, actions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return values, log-probs and entropies, each ``(B,)``."""
        inputs, values = self.policy(obs)
        distribution = self._as_theirs(inputs)
        tune = self._act.tune
        if tune is not None and tune.reference_kl:
            divergence = self.policy.divergence(inputs, obs, self._act.temperature).mean()
            self.last_penalty = float(divergence.detach())
            values = with_penalty(values, tune.reference_kl * divergence)
        log_probs = distribution.log_prob(actions)
        if self._guide is not None:
            apart = divergence_of(self._categorical(inputs), prior_of(obs)).mean()
            self.last_divergence = float(apart.detach())
            if self._guide.use == "kl":
                values = with_penalty(values, self.guide_weight * apart)
            elif WEIGHT in obs:
                log_probs = weighed(log_probs, obs[WEIGHT].squeeze(-1))
        return values, log_probs, distribution.entropy()

    def get_distribution(self, obs: Any) -> Distribution:
        """Return the distribution of actions."""
        return self._as_theirs(self.policy(obs)[0])

    def predict_values(self, obs: Any) -> Tensor:
        """Return values ``(B, 1)``."""
        return self.policy.values(obs).unsqueeze(-1)

    def _categorical(self, inputs: Tensor) -> MaskedCategorical:
        result = self.policy.distribution(inputs)
        assert isinstance(result, MaskedCategorical)
        return result

    def _as_theirs(self, inputs: Tensor) -> Distribution:
        # Theirs are thin covers: they take the mode and sum over the dimensions of an action.
        cover: Any = self.action_dist
        cover.distribution = self.policy.distribution(inputs)
        result: Distribution = cover
        return result
