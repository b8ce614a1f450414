"""Wrappers that no specification lists."""

from __future__ import annotations

from typing import Any

import gymnasium as gym


class Unlisted(gym.Wrapper[Any, Any, Any, Any]):
    """A wrapper that is put on each copy anew, and not made from a specification."""

    @property
    def spec(self) -> Any:  # type: ignore[override] # as gymnasium.Wrapper does it
        """The environment's own specification."""
        return self.env.spec
