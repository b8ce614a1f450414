"""Atari Breakout and Pong by the console's memory: a few named numbers, and the same in words.

Both need the extra ``atari``, which brings the emulator ALE (``ale-py``) with its games. ALE is
under the GNU General Public License, version 2; Dragoman neither contains nor copies it.

ALE: Bellemare et al., The Arcade Learning Environment, JAIR 47 (2013); sticky actions: Machado et
al., Revisiting the Arcade Learning Environment, JAIR 61 (2018).
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, Literal, TypeVar

import gymnasium as gym
import numpy as np

from dragoman.errors import ConfigError, MissingExtraError
from dragoman.tasks import picture as drawing
from dragoman.tasks.arguments import whole_number
from dragoman.tasks.atari_memory import HEIGHT, WIDTH, Ball, Breakout, Pong, Ram
from dragoman.tasks.base import SpeakingEnv
from dragoman.types import FloatArray

Seen = TypeVar("Seen", Breakout, Pong)

NEAR = 6
"""Pixels from the ball at which `follow` holds still, less than half a paddle."""
FASTEST = 4.0
"""Pixels a frame that a ball's speed is divided by."""
MOST_POINTS = {"breakout": 864, "pong": 21}


class RamEnv(SpeakingEnv, Generic[Seen]):
    """One game by its memory; subclasses name the game and its numbers.

    Every action is allowed always. ``info`` holds ``text``, ``action_mask`` and ``action_texts``.
    An episode is cut after 108,000 frames.

    Args:
        frame_skip: Frames for which an action holds.
        sticky: Probability that a frame repeats the action before it instead.
        render_mode: ``"ansi"`` for the text, ``"rgb_array"`` for the screen.

    Raises:
        ConfigError: An argument is outside its range.
        MissingExtraError: The package ``ale-py`` is not installed.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        **SpeakingEnv.metadata,
        "render_fps": 15,
    }
    game: ClassVar[str]
    seen_by: ClassVar[type[Breakout] | type[Pong]]
    size: ClassVar[int]

    def __init__(
        self,
        *,
        frame_skip: int = 4,
        sticky: float = 0.25,
        render_mode: Literal["ansi", "rgb_array"] | None = None,
    ) -> None:
        super().__init__(render_mode)
        frame_skip = whole_number("frame_skip", frame_skip, 1, 60)
        if not 0 <= sticky < 1:
            raise ConfigError(f"sticky is {sticky}", cure="choose a number from 0 to below 1")
        self.console = _console(self.game, frame_skip, sticky)
        self.action_space = gym.spaces.Discrete(len(self.seen_by.ACTIONS))
        self.observation_space = gym.spaces.Box(-2, 2, (self.size,), np.float32)
        self.seen: Seen
        self._is_over = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Start a new game, of which the console draws the chances."""
        ram, _ = self.console.reset(seed=seed)
        self._look(ram)
        return super().reset(seed=seed)

    def _begin(self) -> None:
        self._is_over = self.is_truncated = False

    def _take(self, action: int) -> float:
        """Hold an action for some frames."""
        button = list(self.seen_by.ACTIONS.values())[action]
        ram, reward, terminated, truncated, _ = self.console.step(button)
        self._look(ram)
        self._is_over = bool(terminated or truncated)
        self.is_truncated = bool(truncated and not terminated)
        return float(reward)

    @property
    def is_over(self) -> bool:
        """Whether the game is over."""
        return self._is_over

    def text(self) -> str:
        """Return the game in words."""
        return self.seen.text()

    def numbers(self) -> list[float]:
        """Return the observation, number by number."""
        raise NotImplementedError

    def close(self) -> None:
        """Switch the console off."""
        self.console.close()

    def _look(self, ram: Ram) -> None:
        self.seen = self.seen_by.read(ram)  # type: ignore[assignment]

    def _observation(self) -> FloatArray:
        return np.array(self.numbers(), dtype=np.float32)

    def _action_texts(self) -> list[str]:
        return list(self.seen_by.ACTIONS)

    def _picture(self) -> drawing.Image:
        screen: drawing.Image = self.console.ale.getScreenRGB()  # (210, 160, 3)
        return screen


class BreakoutRAM(RamEnv[Breakout]):
    """Breakout: return the ball and break bricks, with five balls.

    The observation is float32 ``(8,)``: whether a ball is in play, its x and y as shares of the
    screen, its velocity in x and y over 4 pixels a frame, the paddle's x as a share of the screen,
    lives over 5 and score over 864; the ball's numbers are 0 while there is none. The reward is
    the points scored.

    With the default settings `follow` scores 69 points over seeds 0 to 9 (standard error 9) and
    `masks.uniform` 1.7 over seeds 0 to 19 (0.3).
    """

    game, seen_by, size = "breakout", Breakout, 8

    def numbers(self) -> list[float]:
        """Return the observation, number by number."""
        seen = self.seen
        return [
            *_shares(seen.ball),
            seen.paddle / WIDTH,
            seen.lives / 5,
            seen.score / MOST_POINTS[self.game],
        ]


class PongRAM(RamEnv[Pong]):
    """Pong against the console: first to 21 points; the agent plays on the right.

    The observation is float32 ``(9,)``: whether a ball is in play, its x and y as shares of the
    screen, its velocity in x and y over 4 pixels a frame, the y of the agent's paddle and of the
    opponent's as shares of the screen, and the points of both over 21; the ball's numbers are 0
    while there is none. The reward is 1 for a point, -1 for one of the opponent.

    With the default settings `follow` earns -8.1 over seeds 0 to 9 (standard error 0.8) and
    `masks.uniform` -20.6 over seeds 0 to 19 (0.2).
    """

    game, seen_by, size = "pong", Pong, 9

    def numbers(self) -> list[float]:
        """Return the observation, number by number."""
        seen, most = self.seen, MOST_POINTS[self.game]
        return [
            *_shares(seen.ball),
            seen.paddle / HEIGHT,
            seen.opponent / HEIGHT,
            seen.scored / most,
            seen.conceded / most,
        ]


def follow(env: gym.Env[Any, Any]) -> int:
    """Keep the paddle under (Breakout) or beside (Pong) the ball, and serve when there is none."""
    plain: Any = env.unwrapped
    if not isinstance(plain, RamEnv):
        raise ConfigError(
            f"this policy plays Breakout and Pong by memory, not {type(plain).__name__}",
            cure="give it an environment made from dragoman/BreakoutRAM-v0 or dragoman/PongRAM-v0",
        )
    seen = plain.seen
    if seen.ball is None:
        return int(plain.action_of("fire" if isinstance(seen, Breakout) else "stay"))
    at, more, less = seen.ball.x, "move right", "move left"
    if isinstance(seen, Pong):
        at, more, less = seen.ball.y, "move down", "move up"
    distance = at - seen.paddle
    if abs(distance) <= NEAR:
        return int(plain.action_of("stay"))
    return int(plain.action_of(more if distance > 0 else less))


def _shares(ball: Ball | None) -> list[float]:
    if ball is None:
        return [0.0] * 5
    return [1.0, ball.x / WIDTH, ball.y / HEIGHT, ball.dx / FASTEST, ball.dy / FASTEST]


def _console(game: str, frame_skip: int, sticky: float) -> Any:
    """Return ALE's own environment of a game, by memory."""
    try:
        import ale_py
        import ale_py.env
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "ale-py", extra="atari", note="ale-py is under the GPL, version 2"
        ) from error
    # Else every console prints a banner.
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    return ale_py.env.AtariEnv(
        game, obs_type="ram", frameskip=frame_skip, repeat_action_probability=sticky
    )
