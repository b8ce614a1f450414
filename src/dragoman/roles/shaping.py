"""A role that changes rewards, on a vector environment in all three autoreset modes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from dragoman.describe.moment import MOMENT, Moment
from dragoman.describe.vector import now_and_reached
from dragoman.environments.vector import Step, acted_and_begun, autoreset_mode
from dragoman.roles.role import RoleVector
from dragoman.types import BoolArray

Parts = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Played:
    """One step of ``N`` environments, of which ``n`` did something.

    Attributes:
        actions: The batch of actions.
        rewards: The environments' own, ``(N,)``.
        terminations: Whose episodes have reached a terminal state, ``(N,)``.
        has_acted: Who did something, ``(N,)``.
        envs: Their numbers, ``(n,)``.
        reached: The moments they have come to; of an ended episode its last one.
        begun: Numbers of the environments in which an episode begins.
        fresh: The moments in which they begin.
    """

    actions: Any
    rewards: NDArray[np.float64]
    terminations: BoolArray
    has_acted: BoolArray
    envs: NDArray[np.int64]
    reached: Sequence[Moment]
    begun: NDArray[np.int64]
    fresh: Sequence[Moment]


class ShapingVector(RoleVector):
    """A role that changes rewards. Subclass it, and define `begin` and `advance`.

    Put it above the `dragoman.environments.vector.EpisodeRecorder`, so that records, evaluation
    and reports keep to the environment's own returns. ``infos`` holds each part of the reward, and
    `drain` its sum over each episode. The step after an end, which is the reset under
    ``NEXT_STEP``, has none.

    Args:
        env: The vector environment, above a `dragoman.describe.vector.MomentVector`.
        parts: Names of the parts, as keys of the infos and columns of the episodes.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], parts: Iterable[str]) -> None:
        super().__init__(env)
        self._mode = autoreset_mode(env)
        self._ended = np.zeros(self.num_envs, dtype=np.bool_)
        self._sums = {name: np.zeros(self.num_envs) for name in parts}
        self._finished: list[dict[str, float]] = []

    def begin(self, envs: NDArray[np.int64], moments: Sequence[Moment]) -> None:
        """Begin an episode in each of some environments."""
        raise NotImplementedError

    def advance(self, played: Played) -> tuple[NDArray[np.float64], Parts]:
        """Return the rewards of a step ``(N,)``, and their parts, each ``(N,)``."""
        raise NotImplementedError

    def drain(self) -> Iterator[Mapping[str, float]]:
        """Yield the sum of each part over each episode that finished since the last call."""
        finished, self._finished = self._finished, []
        yield from finished

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset (the masked) sub-environments, in which episodes begin."""
        # Before the reset, which takes the mask out of the options.
        mask = (options or {}).get("reset_mask", np.ones(self.num_envs, dtype=np.bool_))
        which = np.flatnonzero(mask)
        observations, infos = self.env.reset(seed=seed, options=options)
        self._clear(mask)
        self.begin(which, [infos[MOMENT][i] for i in which])
        return observations, infos

    def step(self, actions: Any) -> Step:
        """Step all sub-environments; the rewards are those of `advance`."""
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        ended = terminations | truncations
        now, reached = now_and_reached(infos, ended, self._mode)
        has_acted, begun = acted_and_begun(self._ended, ended, self._mode, infos)
        envs = np.flatnonzero(has_acted)
        changed, parts = self.advance(
            Played(
                actions,
                rewards,
                terminations,
                has_acted,
                envs,
                [reached[i] for i in envs],
                begun,
                [now[i] for i in begun],
            )
        )
        self._clear(self._ended.copy())
        noted: dict[str, NDArray[Any]] = {}
        for name, values in parts.items():
            noted[name], noted[f"_{name}"] = values, has_acted
            self._sums[name] += values
        for i in np.flatnonzero(ended):
            self._finished.append({name: float(sums[i]) for name, sums in self._sums.items()})
        self._ended = ended
        return observations, changed, terminations, truncations, {**infos, **noted}

    def _clear(self, which: BoolArray) -> None:
        for sums in self._sums.values():
            sums[which] = 0.0
        self._ended[which] = False
