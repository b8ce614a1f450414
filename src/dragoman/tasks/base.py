"""What environments with named actions and a text of their own have in common."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

import gymnasium as gym
import numpy as np

from dragoman.errors import ConfigError, SpaceError
from dragoman.tasks import masks
from dragoman.tasks import picture as drawing
from dragoman.tasks.masks import Mask, WhenMasked

World = TypeVar("World")


class SpeakingEnv(gym.Env[Any, Any], abc.ABC):
    """An environment that says what there is to see, and what may be done.

    ``info`` holds ``text``, ``action_mask``, int8 ``(A,)``, and ``action_texts``, ``A`` texts that
    are empty where an action is not valid. ``options`` of a reset have no effect.

    Args:
        render_mode: ``ansi`` for the text, ``rgb_array`` for a picture.

    Raises:
        ConfigError: There is no such mode.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc] # Gymnasium forgot the ClassVar
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 4,
    }
    when_masked: WhenMasked = "refuse"
    is_truncated: bool = False
    """Whether a time limit of its own has ended the episode."""

    def __init__(self, render_mode: str | None) -> None:
        drawing.check_mode(render_mode, self.metadata["render_modes"])
        self.render_mode = render_mode

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        self._begin()
        return self._observation(), self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take an action.

        Raises:
            SpaceError: The action is outside its rules, or the episode is over.
        """
        if self.is_over:
            raise SpaceError("the episode is over", cure="call reset() before the next step")
        reward = float(self._take(self._chosen(action)))
        is_terminated = self.is_over and not self.is_truncated
        return self._observation(), reward, is_terminated, self.is_truncated, self._info()

    @property
    @abc.abstractmethod
    def is_over(self) -> bool:
        """Whether the episode has ended."""

    @abc.abstractmethod
    def text(self) -> str:
        """Return what a language model reads."""

    def action_masks(self) -> Mask:
        """Return int8 ``(A,)``, 1 for the actions that are valid now: those that have a text."""
        return np.array([bool(text) for text in self._action_texts()], np.int8)

    def action_text(self, action: Any) -> str:
        """Return an action in words.

        Raises:
            SpaceError: The action is outside the space, or has no words now.
        """
        texts = self._action_texts()
        text = texts[masks.allowed_action(action, np.ones(len(texts), np.int8), "refuse")]
        if not text:
            raise SpaceError(
                f"action {action} is not valid now",
                cure=f"choose from {[i for i, text in enumerate(texts) if text][:20]}, where "
                "info['action_mask'] is 1",
            )
        return text

    def action_of(self, text: str) -> Any:
        """Return the action that a text stands for; the inverse of `action_text`.

        Raises:
            SpaceError: No action reads so now.
        """
        return masks.action_of(text, self._action_texts())

    def render(self) -> Any:
        """Return the text (``ansi``) or a picture, uint8 ``(H, W, 3)`` (``rgb_array``)."""
        if self.render_mode == "ansi":
            return self.text()
        return None if self.render_mode is None else self._picture()

    @abc.abstractmethod
    def _begin(self) -> None:
        """Begin an episode; `np_random` is seeded."""

    @abc.abstractmethod
    def _take(self, action: Any) -> float:
        """Take an action that `_chosen` returned, and return its reward."""

    @abc.abstractmethod
    def _observation(self) -> Any:
        """Return what is observed now."""

    @abc.abstractmethod
    def _action_texts(self) -> Sequence[str]:
        """Return the texts of all actions, empty where an action is not valid now."""

    def _chosen(self, action: Any) -> Any:
        """Return the action to take instead of what the agent chose, or refuse it."""
        return masks.allowed_action(action, self.action_masks(), self.when_masked)

    def _picture(self) -> drawing.Image:
        """Draw what there is to see."""
        raise NotImplementedError(f"{type(self).__name__} draws no pictures")

    def _info(self) -> dict[str, Any]:
        texts = list(self._action_texts())
        mask = np.array([bool(text) for text in texts], np.int8)
        return {"text": self.text(), "action_mask": mask, "action_texts": texts}


def played(env: gym.Env[Any, Any], kind: type[World], make: str) -> World:
    """Return the environment without its wrappers, of the kind that a reference policy plays.

    Args:
        env: What the policy was given.
        kind: The class that it knows.
        make: Id of an environment of that class.

    Raises:
        ConfigError: The environment is of another kind.
    """
    world = env.unwrapped
    if not isinstance(world, kind):
        raise ConfigError(
            f"this policy plays {kind.__name__}, not {type(world).__name__}",
            cure=f"give it gymnasium.make({make!r})",
        )
    return world
