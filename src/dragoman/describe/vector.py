"""The moments of a vector environment, for the roles above it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.vector.utils import iterate

from dragoman.describe.moment import MOMENT, Moment, MomentMaker, moment_of
from dragoman.environments.vector import Step, autoreset_mode, split_infos
from dragoman.types import BoolArray


class MomentVector(VectorWrapper):
    """Puts the moment of every sub-environment into ``infos["moment"]``, in all autoreset modes.

    Where a sub-environment has made it already, as `dragoman.describe.history.Remember` does, it
    stays as it is. Put it beneath every role.

    Args:
        env: The vector environment.
        make: Makes moments.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], make: MomentMaker) -> None:
        super().__init__(env)
        self.make = make
        self._mode = autoreset_mode(env)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset (the masked) sub-environments."""
        everyone = np.ones(self.num_envs, dtype=np.bool_)
        # Before the reset, which takes the mask out of the options.
        which = (options or {}).get("reset_mask", everyone)
        observations, infos = self.env.reset(seed=seed, options=options)
        return observations, self._with_moments(self._rows(observations), infos, which)

    def step(self, actions: Any) -> Step:
        """Step all sub-environments."""
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        everyone = np.ones(self.num_envs, dtype=np.bool_)
        infos = self._with_moments(self._rows(observations), infos, everyone)
        ended = terminations | truncations
        if self._mode == AutoresetMode.SAME_STEP and ended.any():
            final = self._with_moments(infos["final_obs"], infos["final_info"], ended)
            infos = {**infos, "final_info": final}
        return observations, rewards, terminations, truncations, infos

    def _with_moments(
        self, observations: Sequence[Any], infos: Mapping[str, Any], which: BoolArray
    ) -> dict[str, Any]:
        rows = split_infos(infos, self.num_envs)
        moments = np.full(self.num_envs, None, dtype=object)
        for i in np.flatnonzero(which).tolist():
            moments[i] = moment_of(observations[i], rows[i], self.make)
        return {**infos, MOMENT: moments, f"_{MOMENT}": which}

    def _rows(self, observations: Any) -> list[Any]:
        return list(iterate(self.env.observation_space, observations))


def now_and_reached(
    infos: Mapping[str, Any], ended: BoolArray, mode: AutoresetMode
) -> tuple[list[Moment], list[Moment]]:
    """Return the moments after a step ``(N,)``, and those that the step's actions led to ``(N,)``.

    They differ under ``SAME_STEP``, where a new episode begins in the step that ends another.
    """
    now: list[Moment] = list(infos[MOMENT])
    reached = list(now)
    if mode == AutoresetMode.SAME_STEP:
        for i in np.flatnonzero(ended):
            reached[i] = infos["final_info"][MOMENT][i]
    return now, reached
