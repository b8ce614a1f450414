"""TextWorld: quests in houses of connected rooms, played by typing commands.

Côté et al., TextWorld: A Learning Environment for Text-based Games (arXiv 1806.11532). The library
has no spaces and hands out cumulative scores; this environment has both spaces, and a reward for
each step. Needs the extra ``textworld``.

Actions are numbers into the sorted list of the commands that the game admits now, so that a
number means another command from step to step: this is an environment for policies that read
``info["action_texts"]``. The observation is all that a player knows:

    objective, what the room looks like, what the player carries, what the last command did

`oracle` wins every game in as many steps as the quest has commands. With the default settings and
the registered limit of 50 steps, `masks.uniform` wins 21 % of the first 100 games of the split
``train``, and returns 0.27 on average (standard errors 4 % and 0.06; final reward 0.21).
"""

from __future__ import annotations

import re
import string
from typing import Any, ClassVar, Literal, TypeAlias, cast

import gymnasium as gym
import numpy as np

from dragoman.errors import SpaceError
from dragoman.tasks.arguments import one_of, whole_number
from dragoman.tasks.base import SpeakingEnv, played
from dragoman.tasks.masks import WhenMasked
from dragoman.tasks.textworld_games import MOST_GAMES, Recipe, Split, start

RewardKind: TypeAlias = Literal["dense", "final"]

LONGEST_TEXT = 20_000
"""Characters. No game seen comes near; the objective grows with the quest, rooms with objects."""

CHARSET = string.ascii_letters + string.digits + string.punctuation + " "

INSPECTIONS = ("examine", "inventory", "look")
"""Commands that only show: what two of them say is in every observation already."""

WANTED = (
    "objective",
    "description",
    "inventory",
    "feedback",
    "admissible_commands",
    "policy_commands",
    "won",
    "lost",
)

BANNER = re.compile(r"^.*\$\$.*\n(?:\s*\n)?", re.DOTALL)  # the title, drawn in dollars
STATUS_LINE = re.compile(r">\s*-= .*? =-\s*-?\d+/\d+\s*$")
EPILOGUE = re.compile(r"You scored -?\d+ out of a possible.*", re.DOTALL)


class TextWorldEnv(SpeakingEnv):
    """Read what is asked for, and do it command by command.

    ``info`` holds:

    * ``text``: the observation once more;
    * ``action_texts``: ``A`` texts, the valid commands sorted, then empty ones;
    * ``action_mask``: int8 ``(A,)``, 1 for the valid commands;
    * ``success``: whether the game is won.

    A game that can no longer be won, because what the quest needs is eaten, is lost and over.

    Args:
        num_games: Games of the split; a reset draws one of them. Each is made when it is first
            drawn, in about a second, and kept in the folder ``DRAGOMAN_CACHE`` names or the
            user's cache.
        rooms: Rooms of each game.
        objects: Things and furniture of each game.
        quest_length: Commands that the quest takes, at most.
        split: ``train``, ``validation`` or ``test``: games of different seeds. They share their
            words, so that what is new is how rooms and quests are put together.
        reward: ``dense`` pays how much nearer a step brings the end, by TextWorld's own plan, over
            the length of the plan at the start: a won game sums to 1, a lost one to 0, and going
            astray costs what the way back earns. ``final`` pays 1 for winning.
        inspections: Admit ``examine``, ``inventory`` and ``look`` too, which only show.
        num_actions: Size of the action space, A: the most commands there can be at once.
        when_masked: What a number beyond the valid commands does, see `masks`.
        render_mode: ``ansi`` for the text.

    Raises:
        ConfigError: An argument is outside its range.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "render_modes": ["ansi"],
        "render_fps": 2,
    }

    def __init__(
        self,
        num_games: int = 100,
        *,
        rooms: int = 5,
        objects: int = 10,
        quest_length: int = 5,
        split: Split = "train",
        reward: RewardKind = "dense",
        inspections: bool = False,
        num_actions: int = 50,
        when_masked: WhenMasked = "next",
        render_mode: str | None = None,
    ) -> None:
        one_of("split", split, Split)
        one_of("reward", reward, RewardKind)
        one_of("when_masked", when_masked, WhenMasked)
        super().__init__(render_mode)
        self.num_games = whole_number("num_games", num_games, 1, MOST_GAMES)
        self.num_actions = whole_number("num_actions", num_actions, 1, 1000)
        self.recipe = Recipe(
            whole_number("rooms", rooms, 1, 20),
            whole_number("objects", objects, 1, 50),
            whole_number("quest_length", quest_length, 1, 20),
            split,
        )
        self.reward: RewardKind = reward
        self.inspections = bool(inspections)
        self.when_masked: WhenMasked = when_masked
        self.action_space = cast(gym.Space[np.int64], gym.spaces.Discrete(self.num_actions))
        self.observation_space = gym.spaces.Text(LONGEST_TEXT, charset=CHARSET)
        self.game: Any = None  # TextWorld's environment; it has no types
        self.state: Any = None  # what TextWorld says of the last step, by attributes
        self.commands: list[str] = []

    def _begin(self) -> None:
        number = int(self.np_random.integers(self.num_games))
        self.close()
        self.game = start(self.recipe.file(number), WANTED)
        self.state = self.game.reset()
        self.plan_length = len(self.state.policy_commands)
        self._note_commands()

    def _take(self, number: int) -> float:
        """Type one command.

        Raises:
            SpaceError: The game now admits more commands than there are actions.
        """
        before = self.progress
        self.state = self.game.step(self.commands[number])[0]
        self._note_commands()
        return self.progress - before if self.reward == "dense" else float(self.state.won)

    def _observation(self) -> str:
        return self.text()

    @property
    def is_lost(self) -> bool:
        """Whether the game is lost, or can no longer be won."""
        # The interpreter knows only losses that are written into the game; the plan knows more.
        return bool(self.state.lost) or not (self.state.won or self.state.policy_commands)

    @property
    def is_over(self) -> bool:
        """Whether the game is won or lost."""
        return bool(self.state.won) or self.is_lost

    @property
    def progress(self) -> float:
        """How much of the way to the end is done: 0 at the start, 1 when won, 0 when lost.

        Below 0 after going astray. Commands of TextWorld's plan, over those at the start.
        """
        if self.is_lost:
            return 0.0
        return 1 - len(self.state.policy_commands) / self.plan_length

    def text(self) -> str:
        """Return what the player knows, on one line, without the game's decoration."""
        objective, description, inventory, feedback = (
            _one_line(part or "")
            for part in (
                self.state.objective,
                self.state.description,
                self.state.inventory,
                without_decoration(self.state.feedback),
            )
        )
        # After a walk, and at the start, the game says nothing but what is said already.
        news = feedback.replace(objective, "").replace(description, "").strip()
        return " ".join(part for part in (objective, description, inventory, news) if part)

    def close(self) -> None:
        """Stop the interpreter."""
        if self.game is not None:
            self.game.close()
            self.game = None

    def _note_commands(self) -> None:
        """Keep the commands that are valid now, sorted."""
        commands = sorted(self.state.admissible_commands)
        if not self.inspections:
            active = [command for command in commands if command.split()[0] not in INSPECTIONS]
            commands = active or commands
        if len(commands) > self.num_actions:
            raise SpaceError(
                f"the game admits {len(commands)} commands, more than num_actions="
                f"{self.num_actions}",
                cure="make the environment with more num_actions, or with fewer objects",
            )
        self.commands = commands

    def _action_texts(self) -> list[str]:
        return self.commands + [""] * (self.num_actions - len(self.commands))

    def _info(self) -> dict[str, Any]:
        return {**super()._info(), "success": bool(self.state.won)}


def oracle(env: gym.Env[Any, Any]) -> int:
    """Type the next command of TextWorld's own plan."""
    world = played(env, TextWorldEnv, "dragoman/TextWorld-v0")
    return int(world.action_of(world.state.policy_commands[0]))


def without_decoration(feedback: str) -> str:
    """Return what a game prints without its banner, status line, prompt and closing menu."""
    return EPILOGUE.sub("", STATUS_LINE.sub("", BANNER.sub("", feedback)))


def _one_line(text: str) -> str:
    return " ".join(text.split())
