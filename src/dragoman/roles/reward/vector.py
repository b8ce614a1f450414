"""The reward role on a vector environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import iterate
from numpy.typing import NDArray

from dragoman.describe.moment import Moment
from dragoman.files import read_rows
from dragoman.roles.reward.rewarder import Rewarder
from dragoman.roles.reward.term import Steps
from dragoman.roles.role import Notes
from dragoman.roles.shaping import Parts, Played, ShapingVector

CRITIQUES = "critiques.jsonl"


class RewardVector(ShapingVector):
    """Adds the terms of a reward role to the environment's own reward.

    ``infos["reward/env"]`` and ``infos["reward/NAME"]`` hold the environment's own reward and each
    weighted term of the step.

    Args:
        env: As in `dragoman.roles.shaping.ShapingVector`.
        rewarder: The role at work.
    """

    resumes = ("rewarder",)

    def __init__(self, env: VectorEnv[Any, Any, Any], rewarder: Rewarder) -> None:
        super().__init__(env, [f"reward/{name}" for name in ("env", *rewarder.terms)])
        self.rewarder = rewarder

    def prepare(self, sample: Callable[[int], list[str]], notes: Notes) -> None:
        """Let the terms find out what they must know, and keep that with the run."""
        self.rewarder.prepare(sample, notes.path)
        notes.document("rewards.json", self.rewarder.found)
        self._keep_critiques(notes)

    def restore(self, state: Mapping[str, NDArray[Any]], notes: Notes) -> None:
        """Take back what the terms had found out."""
        self.rewarder.load_state(state)
        # So that nothing is asked and written twice.
        self.rewarder.recall(read_rows(notes.path / CRITIQUES, cure="train again"))
        self._keep_critiques(notes)

    def _keep_critiques(self, notes: Notes) -> None:
        self.rewarder.keep_critiques(lambda row: notes.append(CRITIQUES, row))

    def metrics(self) -> dict[str, float]:
        """Return the weight of each term, and how often it failed."""
        columns = {"reward_weight/env": self.rewarder.env_weight}
        for name, term in self.rewarder.terms.items():
            columns[f"reward_weight/{name}"] = term.weight
            columns[f"reward_skipped/{name}"] = term.skipped
        return columns

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what the terms have learnt before the training."""
        return self.rewarder.state()

    def begin(self, envs: NDArray[np.int64], moments: Sequence[Moment]) -> None:
        """Begin an episode in each of some environments."""
        self.rewarder.begin(envs, moments)

    def advance(self, played: Played) -> tuple[NDArray[np.float64], Parts]:
        """Return the sum of all terms ``(N,)``, and each of them."""
        done = list(iterate(self.env.action_space, played.actions))
        steps = Steps(
            played.envs,
            played.reached,
            [done[i] for i in played.envs],
            played.terminations[played.envs],
        )
        result = self.rewarder.advance(steps, played.begun, played.fresh)
        own = np.where(played.has_acted, played.rewards, 0.0)
        total = self.rewarder.env_weight * own
        parts = {"reward/env": own}
        for name, values in result.items():
            part = np.zeros(self.num_envs)
            part[played.envs] = values
            total, parts[f"reward/{name}"] = total + part, part
        return total, parts

    def close(self, **settings: Any) -> None:
        """Close the environment, and what the terms run in."""
        self.rewarder.close()
        self.env.close(**settings)
