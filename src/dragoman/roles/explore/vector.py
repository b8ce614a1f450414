"""The explore role on a vector environment, in all three autoreset modes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from dragoman.describe.moment import MOMENT
from dragoman.describe.vector import now_and_reached
from dragoman.environments.vector import Step, acted_and_begun, autoreset_mode
from dragoman.roles.explore.explorer import Explorer
from dragoman.roles.role import Notes, RoleVector
from dragoman.types import BoolArray

BONUS = "explore/bonus"
"""Key of the infos, and column of the metrics: the weighted bonus that was added."""


class ExploreVector(RoleVector):
    """Adds the bonus of an explore role to the reward.

    Put it above the `dragoman.environments.vector.EpisodeRecorder`, so that records, evaluation
    and reports keep to the environment's own returns. ``infos["explore/bonus"]`` holds what was
    added in the step. The step after an end, which is the reset under ``NEXT_STEP``, has none.

    Args:
        env: The vector environment, above a `dragoman.describe.vector.MomentVector`.
        explorer: The role at work.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], explorer: Explorer) -> None:
        super().__init__(env)
        self.explorer = explorer
        self._mode = autoreset_mode(env)
        self._ended = np.zeros(self.num_envs, dtype=np.bool_)
        self._sums = np.zeros(self.num_envs)
        self._finished: list[dict[str, float]] = []

    def prepare(self, sample: Callable[[int], list[str]], notes: Notes) -> None:
        """Let the role learn what features are like."""
        self.explorer.prepare(sample)

    def metrics(self) -> dict[str, float]:
        """Return the weight, the scale and how many states have been met."""
        return self.explorer.metrics()

    def drain(self) -> Iterator[Mapping[str, float]]:
        """Yield the sum of the bonus over each episode that finished since the last call."""
        finished, self._finished = self._finished, []
        yield from finished

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what the role has learnt."""
        return self.explorer.state()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset (the masked) sub-environments, in which episodes begin."""
        # Before the reset, which takes the mask out of the options.
        mask = (options or {}).get("reset_mask", np.ones(self.num_envs, dtype=np.bool_))
        which = np.flatnonzero(mask)
        observations, infos = self.env.reset(seed=seed, options=options)
        self._clear(mask)
        self.explorer.begin(which, [infos[MOMENT][i] for i in which])
        return observations, infos

    def step(self, actions: Any) -> Step:
        """Step all sub-environments; the rewards hold the bonus."""
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        ended = terminations | truncations
        now, reached = now_and_reached(infos, ended, self._mode)
        has_acted, begun = acted_and_begun(self._ended, ended, self._mode)
        acted = np.flatnonzero(has_acted)
        bonus = np.zeros(self.num_envs)
        bonus[acted] = self.explorer.advance(
            acted, [reached[i] for i in acted], begun, [now[i] for i in begun]
        )
        self._clear(self._ended.copy())
        self._sums += bonus
        self._finished += [{BONUS: float(self._sums[i])} for i in np.flatnonzero(ended)]
        self._ended = ended
        infos = {**infos, BONUS: bonus, f"_{BONUS}": has_acted}
        return observations, rewards + bonus, terminations, truncations, infos

    def _clear(self, which: BoolArray) -> None:
        self._sums[which] = 0.0
        self._ended[which] = False
