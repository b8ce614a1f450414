"""The reward role on a vector environment, in all three autoreset modes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import iterate
from numpy.typing import NDArray

from dragoman.describe.moment import MOMENT
from dragoman.describe.vector import now_and_reached
from dragoman.environments.vector import Step, acted_and_begun, autoreset_mode
from dragoman.roles.reward.rewarder import Rewarder
from dragoman.roles.reward.term import Steps
from dragoman.roles.role import Notes, RoleVector
from dragoman.types import BoolArray


class RewardVector(RoleVector):
    """Adds the terms of a reward role to the environment's own reward.

    Put it above the `dragoman.environments.vector.EpisodeRecorder`, so that records, evaluation
    and reports keep to the environment's own returns. ``infos["reward/env"]`` and
    ``infos["reward/NAME"]`` hold the environment's own reward and each weighted term of the step.

    Args:
        env: The vector environment, above a `dragoman.describe.vector.MomentVector`.
        rewarder: The role at work.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], rewarder: Rewarder) -> None:
        super().__init__(env)
        self.rewarder = rewarder
        self._mode = autoreset_mode(env)
        self._ended = np.zeros(self.num_envs, dtype=np.bool_)
        self._sums = {name: np.zeros(self.num_envs) for name in ("env", *rewarder.terms)}
        self._finished: list[dict[str, float]] = []

    def prepare(self, sample: Callable[[int], list[str]], notes: Notes) -> None:
        """Let the terms find out what they must know, and keep that with the run."""
        self.rewarder.prepare(sample, notes.path)
        notes.document("rewards.json", self.rewarder.found)
        self.rewarder.keep_critiques(lambda row: notes.append("critiques.jsonl", row))

    def metrics(self) -> dict[str, float]:
        """Return the weight of each term, and how often it failed."""
        columns = {"reward_weight/env": self.rewarder.env_weight}
        for name, term in self.rewarder.terms.items():
            columns[f"reward_weight/{name}"] = term.weight
            columns[f"reward_skipped/{name}"] = term.skipped
        return columns

    def drain(self) -> Iterator[Mapping[str, float]]:
        """Yield the sum of each term over each episode that finished since the last call."""
        finished, self._finished = self._finished, []
        yield from finished

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what the terms have learnt before the training."""
        return self.rewarder.state()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset (the masked) sub-environments, in which episodes begin."""
        mask = (options or {}).get("reset_mask", np.ones(self.num_envs, dtype=np.bool_))
        which = np.flatnonzero(mask)
        observations, infos = self.env.reset(seed=seed, options=options)
        self._clear(mask)
        self.rewarder.begin(which, [infos[MOMENT][i] for i in which])
        return observations, infos

    def step(self, actions: Any) -> Step:
        """Step all sub-environments; the rewards hold all terms."""
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        ended = terminations | truncations
        now, reached = now_and_reached(infos, ended, self._mode)
        has_acted, begun = acted_and_begun(self._ended, ended, self._mode)
        acted = np.flatnonzero(has_acted)
        done = list(iterate(self.env.action_space, actions))
        steps = Steps(
            acted, [reached[i] for i in acted], [done[i] for i in acted], terminations[acted]
        )
        result = self.rewarder.advance(steps, begun, [now[i] for i in begun])
        self._clear(self._ended.copy())
        own = np.where(has_acted, rewards, 0.0)
        total = self.rewarder.env_weight * own
        terms = {"env": own}
        for name, values in result.items():
            terms[name] = np.zeros(self.num_envs)
            terms[name][acted] = values
            total = total + terms[name]
        infos = {**infos, **self._noted(terms, has_acted)}
        self._keep(terms, ended)
        return observations, total, terminations, truncations, infos

    def close(self, **settings: Any) -> None:
        """Close the environment, and what the terms run in."""
        self.rewarder.close()
        self.env.close(**settings)

    def _noted(
        self, terms: dict[str, NDArray[np.float64]], has_acted: BoolArray
    ) -> dict[str, NDArray[Any]]:
        noted: dict[str, NDArray[Any]] = {}
        for name, values in terms.items():
            noted[f"reward/{name}"], noted[f"_reward/{name}"] = values, has_acted
        return noted

    def _keep(self, terms: dict[str, NDArray[np.float64]], ended: BoolArray) -> None:
        for name, values in terms.items():
            self._sums[name] += values
        for i in np.flatnonzero(ended):
            self._finished.append({f"reward/{name}": float(s[i]) for name, s in self._sums.items()})
        self._ended = ended

    def _clear(self, which: BoolArray) -> None:
        for sums in self._sums.values():
            sums[which] = 0.0
        self._ended[which] = False
