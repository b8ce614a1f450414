"""What environments with named actions and a text of their own have in common."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from dragoman.tasks import drawing, masks
from dragoman.tasks.masks import Mask
from dragoman.types import FloatArray


class SpeakingEnv(gym.Env[FloatArray, Any], abc.ABC):
    """An environment that says what there is to see, and what may be done.

    ``info`` holds ``text``, ``action_mask``, int8 ``(A,)``, and ``action_texts``, ``A`` texts that
    are empty where an action is not allowed.

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

    @abc.abstractmethod
    def action_masks(self) -> Mask:
        """Return int8 ``(A,)``, 1 for the actions that are allowed now.

        After the end it means nothing, and is not empty, since libraries reject an empty one.
        """

    def action_text(self, action: Any) -> str:
        """Return an action in words, allowed or not.

        Raises:
            SpaceError: The action is outside the space.
        """
        texts = self._action_texts()
        return texts[masks.allowed_action(action, np.ones(len(texts), np.int8), "next")]

    def action_of(self, text: str) -> Any:
        """Return the action that a text stands for; the inverse of `action_text`.

        Raises:
            SpaceError: No action reads so.
        """
        return masks.action_of(text, self._action_texts())

    def render(self) -> Any:
        """Return the text (``ansi``) or a picture, uint8 ``(256, 256, 3)`` (``rgb_array``)."""
        if self.render_mode == "ansi":
            return self.text()
        return None if self.render_mode is None else self._picture()

    @abc.abstractmethod
    def _action_texts(self) -> Sequence[str]:
        """Return the texts of all actions."""

    @abc.abstractmethod
    def _picture(self) -> drawing.Image:
        """Draw what there is to see."""

    def _info(self) -> dict[str, Any]:
        mask = self.action_masks()
        texts = masks.allowed_texts(self._action_texts(), mask)
        return {"text": self.text(), "action_mask": mask, "action_texts": texts}
