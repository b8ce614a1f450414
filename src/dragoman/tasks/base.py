"""What environments with named actions and a text of their own have in common."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from dragoman.errors import SpaceError
from dragoman.tasks import masks
from dragoman.tasks import picture as drawing
from dragoman.tasks.masks import Mask


class SpeakingEnv(gym.Env[Any, Any], abc.ABC):
    """An environment that says what there is to see, and what may be done.

    ``info`` holds ``text``, ``action_mask``, int8 ``(A,)``, and ``action_texts``, ``A`` texts that
    are empty where an action is not valid.

    Args:
        render_mode: ``ansi`` for the text, ``rgb_array`` for a picture.

    Raises:
        ConfigError: There is no such mode.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc] # Gymnasium forgot the ClassVar
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 4,
    }

    def __init__(self, render_mode: str | None) -> None:
        drawing.check_mode(render_mode, self.metadata["render_modes"])
        self.render_mode = render_mode

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
    def _action_texts(self) -> Sequence[str]:
        """Return the texts of all actions, empty where an action has none now."""

    def _picture(self) -> drawing.Image:
        """Draw what there is to see."""
        raise NotImplementedError(f"{type(self).__name__} draws no pictures")

    def _info(self) -> dict[str, Any]:
        mask = self.action_masks()
        texts = masks.allowed_texts(self._action_texts(), mask)
        return {"text": self.text(), "action_mask": mask, "action_texts": texts}
