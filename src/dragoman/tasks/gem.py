r"""GEM: games, questions and puzzles in text (Liu et al., GEM: A Gym for Agentic LLMs, 2510.01051).

Needs the extra ``gem``. Observations are what the environment says at each turn, actions are whole
answers, in which most of its games look for ``\boxed{...}``. Some of its environments fetch data.
"""

from __future__ import annotations

from typing import Any

from dragoman.errors import ConfigError
from dragoman.tasks.typed import Dice, TypedEnv, needed, require_known


class Gem(TypedEnv):
    """Play an environment of GEM.

    Its games draw from Python's generator for all, so copies are kept apart by giving each its
    own state before every step.

    Args:
        game: An id of GEM.
        max_action: Most characters of an action.
        config: Settings of the environment.

    Raises:
        ConfigError: There is no such environment, or it refuses its settings.
        MissingExtraError: The library is not installed.
    """

    def __init__(self, game: str, *, max_action: int = 4000, **config: Any) -> None:
        super().__init__(max_action)
        library = needed("gem", "gem")
        known = needed("gem.envs.registration", "gem").ENV_REGISTRY
        require_known("gem", "environment", game, known, "game:GuessTheNumber-v0-easy")
        try:
            self.game: Any = library.make(game, **config)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"gem's {game!r} refuses the settings {config}: {error}",
                cure="give env_settings only what its constructor takes",
            ) from error
        self._random: Any = None

    def _begin(self, seed: int) -> tuple[str, dict[str, Any]]:
        with Dice(self):
            text, _ = self.game.reset(seed=seed)
        return str(text), {}

    def _type(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        with Dice(self):
            text, reward, terminated, truncated, _ = self.game.step(action)
        return str(text), float(reward), bool(terminated), bool(truncated), {}
