"""Where a written text becomes an action of the environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space

from dragoman.environments.indices import Indices
from dragoman.environments.vector import Step
from dragoman.models.cache import without_memory
from dragoman.roles.act.settings import Act
from dragoman.roles.act.written import PAD, named_actions, texts_of

MOST = 2**24
"""Up to here float32, in which training libraries keep rows of numbers, holds whole numbers."""


def written_space(settings: Act) -> gym.spaces.Box:
    """Return the space of what is written: rows of token ids."""
    return gym.spaces.Box(PAD, MOST, (settings.most_written,), np.float32)


class WriteVector(VectorWrapper):
    """Takes rows of token ids for actions.

    Put it above what makes the prompts. Where actions are texts, what is written is the action. A
    text that names no valid action is passed on as the number before the first one, see
    `dragoman.environments.tolerant.Tolerant`.

    Args:
        env: The vector environment, whose observations have ``mask`` and ``candidates``.
        settings: The act role.
        model: The language model, around or without a memory.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], settings: Act, model: Any) -> None:
        super().__init__(env)
        self._settings = settings
        self._model: Any = without_memory(model)
        self._indices = Indices(env.single_action_space)
        self._takes_texts = isinstance(env.single_action_space, gym.spaces.Text)
        self._seen: Any = None
        self.single_action_space = written_space(settings)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset (the masked) sub-environments."""
        self._seen, infos = self.env.reset(seed=seed, options=options)
        return self._seen, infos

    def step(self, actions: Any) -> Step:
        """Step by what was written; an invalid text may cost something."""
        texts = texts_of(self._model, self._settings, np.asarray(actions))
        chosen: Any
        if self._takes_texts:
            chosen = tuple(texts)
            space = self.env.single_action_space
            is_invalid = np.array([not space.contains(text) for text in chosen])
        else:
            mask, candidates = self._seen["mask"], self._seen["candidates"]
            named = named_actions(self._model.text, texts, mask, candidates)
            chosen, is_invalid = self._indices.actions(named), named < 0
        self._seen, rewards, terminations, truncations, infos = self.env.step(chosen)
        if self._settings.invalid == "penalty":
            rewards = rewards - self._settings.penalty * is_invalid
        return self._seen, rewards, terminations, truncations, infos
