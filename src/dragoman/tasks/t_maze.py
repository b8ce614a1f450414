"""A T-maze: what a sign at the start says decides which way is right at the end of a corridor.

The standard task of memory (Bakker 2001, "Reinforcement learning with long short-term memory"). The
corridor looks the same everywhere and the junction always, so nothing that sees the present alone
knows the way: at the junction it is right in half of all episodes, whatever it does.

    go on         one cell ahead; at the junction it leads into the wall
    turn left     at the junction the way to the left; elsewhere it leads into the wall
    turn right    at the junction the way to the right; elsewhere it leads into the wall

Every action is valid everywhere, and what leads into the wall takes a step and changes nothing.

References: `oracle` earns 1; the best that has no memory earns 1/2 on average.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, cast

import gymnasium as gym
import numpy as np

from dragoman.errors import SpaceError
from dragoman.tasks import masks
from dragoman.tasks import picture as drawing
from dragoman.tasks.arguments import whole_number
from dragoman.tasks.base import played

ACTIONS = ("go on", "turn left", "turn right")
AHEAD = 0
CORRIDOR, JUNCTION = 2, 3
TEXTS = (
    "You stand at the start of a corridor. A sign says that the treasure is on the left.",
    "You stand at the start of a corridor. A sign says that the treasure is on the right.",
    "You stand in a corridor. There are walls on both sides.",
    "You stand at the end of the corridor. One way leads to the left, another to the right.",
)


class TMaze(gym.Env[Any, Any]):
    """Walk ``length`` cells of corridor, and take the way that the sign at the start named.

    The observation is the number of a text: 0 and 1 at the start, where the sign says left or
    right, 2 in the corridor and 3 at the junction. The right way earns 1 and the other 0; both end
    the episode. ``info`` holds ``text`` and ``action_texts``.

    Args:
        length: Cells between the start and the junction.
        render_mode: ``ansi`` for the text, ``rgb_array`` for a picture.

    Raises:
        ConfigError: An argument is outside its range.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc] # Gymnasium forgot the ClassVar
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 2,
    }

    def __init__(
        self, length: int = 4, render_mode: Literal["ansi", "rgb_array"] | None = None
    ) -> None:
        self.length = whole_number("length", length, 0, 20)
        drawing.check_mode(render_mode, self.metadata["render_modes"])
        self.render_mode = render_mode
        self.observation_space = cast(gym.Space[Any], gym.spaces.Discrete(len(TEXTS)))
        self.action_space = cast(gym.Space[Any], gym.spaces.Discrete(len(ACTIONS)))
        self.sign = self.place = 0
        self.taken: int | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode with another sign."""
        super().reset(seed=seed)
        self.sign = int(self.np_random.integers(2))
        self.place, self.taken = 0, None
        return self._observation(), self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take an action.

        Raises:
            SpaceError: The action is outside the space, or the episode is over.
        """
        if self.taken is not None:
            raise SpaceError("the episode is over", cure="call reset() before the next step")
        chosen = self._checked(action)
        if self._observation() != JUNCTION:
            self.place += chosen == AHEAD
        elif chosen != AHEAD:
            self.taken = chosen - 1
        is_over = self.taken is not None
        return self._observation(), float(self.taken == self.sign), is_over, False, self._info()

    def action_text(self, action: Any) -> str:
        """Return an action in words.

        Raises:
            SpaceError: It is outside the space.
        """
        return ACTIONS[self._checked(action)]

    def action_of(self, text: str) -> int:
        """Return the action that a text stands for; the inverse of `action_text`.

        Raises:
            SpaceError: No action reads so.
        """
        return masks.action_of(text, ACTIONS)

    def render(self) -> Any:
        """Return the text (``ansi``) or a picture, uint8 ``(H, W, 3)`` (``rgb_array``)."""
        if self.render_mode == "ansi":
            return TEXTS[self._observation()]
        return None if self.render_mode is None else self._picture()

    def _checked(self, action: Any) -> int:
        return masks.allowed_action(action, np.ones(len(ACTIONS), np.int8), "refuse")

    def _observation(self) -> int:
        if self.place == 0:
            return self.sign
        return CORRIDOR if self.place <= self.length else JUNCTION

    def _info(self) -> dict[str, Any]:
        return {"text": TEXTS[self._observation()], "action_texts": list(ACTIONS)}

    def _picture(self) -> drawing.Image:
        """Draw the maze from above, with the sign as long as it is seen."""
        frame = drawing.blank()
        cell = 1 / (self.length + 4)
        junction = (self.length + 2) * cell
        drawing.fill(frame, (cell, junction + cell), (0.5 - cell / 2, 0.5 + cell / 2), drawing.GREY)
        drawing.fill(frame, (junction, junction + cell), (0.2, 0.8), drawing.GREY)
        if self.place == 0:
            y = 0.3 if self.sign == 0 else 0.7
            drawing.dot(frame, 1.5 * cell, y, drawing.colour(1), radius=cell / 3)
        y = 0.5 if self.taken is None else (0.25, 0.75)[self.taken]
        drawing.dot(frame, (self.place + 1.5) * cell, y, drawing.BLACK, radius=cell / 4)
        return frame


def oracle(env: gym.Env[Any, Any]) -> int:
    """Walk on, and take the way that the sign named."""
    maze = played(env, TMaze, "dragoman/TMaze-v0")
    return AHEAD if maze.place <= maze.length else 1 + maze.sign
