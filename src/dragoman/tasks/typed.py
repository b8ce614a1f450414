"""What environments of other suites have in common: texts in, texts out."""

from __future__ import annotations

import importlib
import random
import string
from collections.abc import Collection
from typing import Any, ClassVar

import gymnasium as gym

from dragoman.errors import ConfigError, MissingExtraError, SpaceError, did_you_mean
from dragoman.tasks.arguments import whole_number

LONGEST = 20_000
"""Characters of an observation; what is longer loses its beginning."""

# Latin, Greek and Cyrillic letters, punctuation, arrows, operators, boxes, blocks and shapes.
_BLOCKS = ((0xA0, 0x250), (0x370, 0x530), (0x2010, 0x2040), (0x2190, 0x2700))
CHARSET = string.printable + "".join(chr(i) for low, high in _BLOCKS for i in range(low, high))
STRANGE = "?"
"""Stands for a character of none of these."""
_KNOWN = frozenset(CHARSET)


class TypedEnv(gym.Env[str, Any]):
    """An environment that is played by typing texts.

    ``info["text"]`` is the observation once more. ``options`` of a reset have no effect.

    Args:
        max_action: Most characters of an action.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}  # type: ignore[misc]

    def __init__(self, max_action: int = 1000) -> None:
        self.observation_space = gym.spaces.Text(LONGEST, min_length=0, charset=CHARSET)
        self.action_space = gym.spaces.Text(
            whole_number("max_action", max_action, 1, LONGEST), charset=CHARSET
        )
        self._is_over = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        text, info = self._begin(int(self.np_random.integers(2**31)))
        self._is_over = False
        return self._told(text, info)

    def step(self, action: Any) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Type a text.

        Raises:
            SpaceError: The text does not lie in the space, or the episode is over.
        """
        if self._is_over:
            raise SpaceError("the episode is over", cure="call reset() before the next step")
        if not self.action_space.contains(action):
            raise SpaceError(
                f"the action {str(action)[:80]!r} is not in {type(self.action_space).__name__} of "
                f"1 to {getattr(self.action_space, 'max_length', 0)} characters",
                cure="type a text of known characters, within the length",
            )
        text, reward, terminated, truncated, info = self._type(action)
        self._is_over = terminated or truncated
        seen, info = self._told(text, info)
        return seen, float(reward), bool(terminated), bool(truncated), info

    def _told(self, text: str, info: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return readable(text), {"text": readable(text), **info}

    def _begin(self, seed: int) -> tuple[str, dict[str, Any]]:
        """Begin an episode that the seed decides, and return what is seen."""
        raise NotImplementedError

    def _type(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Type a text, and return as a step does."""
        raise NotImplementedError


def readable(text: str) -> str:
    """Return a text with ``?`` for characters outside the alphabet, without too old a beginning."""
    known = "".join(letter if letter in _KNOWN else STRANGE for letter in text)
    return known[-LONGEST:]


def needed(package: str, extra: str) -> Any:
    """Return a package, imported.

    Raises:
        MissingExtraError: It, or what it imports, is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        missing = str(error.name or package).partition(".")[0]
        raise MissingExtraError(missing, extra=extra) from error


def require_known(suite: str, kind: str, name: str, known: Collection[str], example: str) -> None:
    """Refuse an environment that a suite does not have.

    Args:
        suite: Its prefix, such as ``gem``.
        kind: What it calls an environment, such as ``game``.
        name: The one that is asked for.
        known: Those that it has.
        example: One of them.

    Raises:
        ConfigError: So it is.
    """
    if name not in known:
        raise ConfigError(
            f"{suite} has no {kind} {name!r}{did_you_mean(name, known)}",
            cure=f"name one that it has, such as '{suite}:{example}'",
        )


class Dice:
    """Python's generator for all, lent to one environment that draws from it.

    Args:
        env: Keeps its state in ``_random``.
    """

    def __init__(self, env: Any) -> None:
        self._env = env

    def __enter__(self) -> None:
        self._before = random.getstate()
        if self._env._random is not None:
            random.setstate(self._env._random)

    def __exit__(self, *error: object) -> None:
        self._env._random = random.getstate()
        random.setstate(self._before)
