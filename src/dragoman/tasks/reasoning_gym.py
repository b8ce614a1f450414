"""Reasoning Gym: questions made on demand, each with an answer that a program checks.

Stojanovski et al., Reasoning Gym (arXiv 2505.24760). Needs the extra ``reasoning-gym``. An episode
is one question: the observation is the question, the action is the answer, the reward the
library's own score from 0 to 1. `oracle` answers as the library does.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import gymnasium as gym

from dragoman.errors import ConfigError
from dragoman.tasks.arguments import one_of, whole_number
from dragoman.tasks.base import played
from dragoman.tasks.typed import TypedEnv, needed, require_known

Split: TypeAlias = Literal["train", "validation", "test"]


class ReasoningGym(TypedEnv):
    """Answer one question.

    Args:
        dataset: A dataset of the library.
        split: ``train``, ``validation`` or ``test``: questions of different seeds. In a dataset of
            few questions the same may come twice.
        size: Questions of the split; a reset draws one of them.
        max_action: Most characters of an answer.
        config: Settings of the dataset.

    Raises:
        ConfigError: There is no such dataset, or it refuses its settings.
        MissingExtraError: The library is not installed.
    """

    def __init__(
        self,
        dataset: str,
        *,
        split: Split = "train",
        size: int = 10_000,
        max_action: int = 1000,
        **config: Any,
    ) -> None:
        super().__init__(max_action)
        one_of("split", split, Split)
        size = whole_number("size", size, 1, 10**6)
        library = needed("reasoning_gym", "reasoning-gym")
        known = needed("reasoning_gym.factory", "reasoning-gym").DATASETS
        require_known("reasoning-gym", "dataset", dataset, known, "chain_sum")
        # Far from one another: question i of a dataset is made with its seed plus i.
        seed = 10**8 * (1 + get_args(Split).index(split))
        try:
            self.questions = library.create_dataset(dataset, seed=seed, size=size, **config)
        except (AssertionError, TypeError, ValueError) as error:
            raise ConfigError(
                f"the dataset {dataset!r} of reasoning-gym refuses the settings {config}: {error}",
                cure="give env_settings only what its configuration takes",
            ) from error
        self.size = size
        self.entry: dict[str, Any] = {}

    def _begin(self, seed: int) -> tuple[str, dict[str, Any]]:
        self.entry = self.questions[seed % self.size]
        return self.entry["question"], {}

    def _type(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        score = float(self.questions.score_answer(action, self.entry))
        return self.entry["question"], score, True, False, {"success": score == 1.0}


def oracle(env: gym.Env[Any, Any]) -> str:
    """Return the library's own answer."""
    world = played(env, ReasoningGym, "reasoning-gym:chain_sum")
    return str(world.entry["answer"])
