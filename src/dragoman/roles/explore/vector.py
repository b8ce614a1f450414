"""The explore role on a vector environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import iterate
from numpy.typing import NDArray

from dragoman.describe.moment import Moment
from dragoman.roles.explore.explorer import Explorer
from dragoman.roles.role import Notes
from dragoman.roles.shaping import Parts, Played, ShapingVector

BONUS = "explore/bonus"
"""Key of the infos, and column of the metrics: the weighted bonus that was added."""


class ExploreVector(ShapingVector):
    """Adds the bonus of an explore role to the reward.

    Args:
        env: As in `dragoman.roles.shaping.ShapingVector`.
        explorer: The role at work.
    """

    resumes = ("explorer",)

    def __init__(self, env: VectorEnv[Any, Any, Any], explorer: Explorer) -> None:
        super().__init__(env, [BONUS])
        self.explorer = explorer

    def prepare(self, sample: Callable[[int], list[str]], notes: Notes) -> None:
        """Let the role learn what features are like."""
        self.explorer.prepare(sample)

    def metrics(self) -> dict[str, float]:
        """Return the weight, the scale and how many states have been met."""
        return self.explorer.metrics()

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what the role has learnt."""
        return self.explorer.state()

    def restore(self, state: Mapping[str, NDArray[Any]], notes: Notes) -> None:
        """Take back what the role has learnt, goals among it."""
        self.explorer.load_state(state)

    def forget(self) -> None:
        """Forget the hidden states of texts."""
        self.explorer.forget()

    def begin(self, envs: NDArray[np.int64], moments: Sequence[Moment]) -> None:
        """Begin an episode in each of some environments."""
        self.explorer.begin(envs, moments)

    def advance(self, played: Played) -> tuple[NDArray[np.float64], Parts]:
        """Return the rewards with the bonus ``(N,)``, and the bonus alone."""
        bonus = np.zeros(self.num_envs)
        actions: list[Any] = []
        if self.explorer.reads_actions:
            done = list(iterate(self.env.action_space, played.actions))
            actions = [done[i] for i in played.envs]
        bonus[played.envs] = self.explorer.advance(
            played.envs, played.reached, played.begun, played.fresh, actions
        )
        return played.rewards + bonus, {BONUS: bonus}
