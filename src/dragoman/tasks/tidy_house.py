"""A text world: put every object where it usually belongs.

The house has a random subset of the places of `dragoman.tasks.household`, and some objects that
belong in these places lie on its floor. The text never says where: that is what a language model
knows. Objects of the splits ``train``, ``validation`` and ``test`` are disjoint, so an agent that
learnt its objects by heart is found out on another split.

    take X        X is the thing to hold; only with empty hands
    put X in Y    X, the thing held, is put away in the place Y for good, be that right or wrong

Observations are text (`gymnasium.spaces.Text`), since a language model reads them as they are and
every describer of spaces serves them without configuration. Actions are numbered so that a policy
network with a fixed head can learn them: the first ``num_objects`` take the first, second, ...
object that the text names on the floor, and the rest put what is held into one place each, in the
order of `household.PLACES` whatever the house has.

References: `oracle` earns 1; `masks.uniform` earns 1 / num_places on average (dense, no penalty),
because it puts each object into one of the places with equal probability and one of them is right.
"""

from __future__ import annotations

import string
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeAlias, cast

import gymnasium as gym
import numpy as np

from dragoman.errors import ConfigError
from dragoman.tasks import masks
from dragoman.tasks import picture as drawing
from dragoman.tasks.arguments import one_of, whole_number
from dragoman.tasks.base import SpeakingEnv, played
from dragoman.tasks.household import HOME, OBJECTS, PLACES, Split

RewardKind: TypeAlias = Literal["dense", "final"]

FEWEST_PLACES = 6
MOST_OBJECTS = 10
"""Each takes two steps, so the registered limit of 40 steps leaves room for as many mistakes."""

TASK = "Task: tidy the house, put every object where it usually belongs."
CHARSET = string.ascii_letters + " .,:-"


class TidyHouse(SpeakingEnv):
    """Put ``num_objects`` objects where they belong among ``num_places`` places.

    An action whose command is not valid now changes nothing and earns nothing, so that
    agents that know no masks can learn too. ``info`` holds:

    * ``action_mask``: int8 ``(A,)``, 1 for the actions whose commands are valid;
    * ``action_texts``: ``A`` texts, empty where the action is not valid;
    * ``success``: whether the episode has ended with every object in its right place.

    Args:
        num_objects: Objects of a house.
        num_places: Places of a house, the right one of each object among them.
        split: Which objects there are: ``train``, ``validation`` or ``test``.
        reward: ``dense`` gives ``1 / num_objects`` for each object put right; ``final`` gives 1
            at the end if all are.
        penalty: Subtracted, over ``num_objects``, for each object put wrong; dense only.
        render_mode: ``ansi`` for the text, ``rgb_array`` for a picture.

    Raises:
        ConfigError: An argument is outside its range.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        **SpeakingEnv.metadata,
        "render_fps": 2,
    }

    def __init__(
        self,
        num_objects: int = 3,
        num_places: int = FEWEST_PLACES,
        split: Split = "train",
        reward: RewardKind = "dense",
        penalty: float = 0.0,
        render_mode: Literal["ansi", "rgb_array"] | None = None,
    ) -> None:
        num_objects = whole_number("num_objects", num_objects, 1, MOST_OBJECTS)
        num_places = whole_number("num_places", num_places, FEWEST_PLACES, len(PLACES))
        one_of("split", split, Split)
        one_of("reward", reward, RewardKind)
        super().__init__(render_mode)
        if not 0 <= penalty <= 1:
            raise ConfigError(f"penalty is {penalty}", cure="choose a number from 0 to 1")
        if penalty and reward == "final":
            raise ConfigError(
                f"penalty is {penalty}, but the final reward looks at the whole house",
                cure="set penalty to 0, or reward to 'dense'",
            )
        self.num_objects = num_objects
        self.num_places = num_places
        self.split = split
        self.reward = reward
        self.penalty = penalty
        self.action_space = cast(
            gym.Space[np.int64], gym.spaces.Discrete(num_objects + len(PLACES))
        )
        self.observation_space = gym.spaces.Text(
            _longest_text(num_objects, num_places), charset=CHARSET
        )
        self.places: tuple[str, ...] = ()
        self.floor: list[str] = []
        self.held: str | None = None
        self.put_away: dict[str, str] = {}

    def _begin(self) -> None:
        # Both lists are sorted, so that the order says nothing of what belongs where.
        chosen = self.np_random.choice(len(PLACES), size=self.num_places, replace=False)
        self.places = tuple(PLACES[i] for i in sorted(chosen))
        names = [name for place in self.places for name in OBJECTS[self.split][place]]
        drawn = self.np_random.choice(len(names), size=self.num_objects, replace=False)
        self.floor = sorted(names[i] for i in drawn)
        self.held = None
        self.put_away = {}

    def _chosen(self, action: Any) -> int:
        # An action whose command is not valid is taken, and changes nothing.
        everything = np.ones(len(self._action_texts()), np.int8)
        return masks.allowed_action(action, everything, "refuse")

    def _take(self, action: int) -> float:
        earned = self._obey(action) if action in self._commands() else 0.0
        return earned if self.reward == "dense" else float(self._success())

    @property
    def is_over(self) -> bool:
        """Whether every object is put away."""
        return not self.floor and self.held is None

    def _observation(self) -> str:
        return self.text()

    def text(self) -> str:
        """Return the house in words, as the agent knows it."""
        away = ", ".join(f"{name} in {place}" for name, place in self.put_away.items())
        return (
            f"{TASK} On the floor: {', '.join(self.floor) or 'nothing'}. "
            f"Places: {', '.join(self.places)}. "
            f"You hold: {self.held or 'nothing'}. Put away: {away or 'nothing'}."
        )

    def _commands(self) -> dict[int, str]:
        """Return the valid actions with their commands."""
        if self.held is None:
            return {i: f"take {name}" for i, name in enumerate(self.floor)}
        return {
            self.num_objects + PLACES.index(place): f"put {self.held} in {place}"
            for place in self.places
        }

    def _obey(self, action: int) -> float:
        """Carry out a valid action and return its dense reward."""
        if self.held is None:
            self.held = self.floor.pop(action)
            return 0.0
        place = PLACES[action - self.num_objects]
        is_right = HOME[self.held] == place
        self.put_away[self.held] = place
        self.held = None
        return (1.0 if is_right else -self.penalty) / self.num_objects

    def _success(self) -> bool:
        return len(self.put_away) == self.num_objects and all(
            HOME[name] == place for name, place in self.put_away.items()
        )

    def _action_texts(self) -> list[str]:
        commands = self._commands()
        return [commands.get(i, "") for i in range(self.num_objects + len(PLACES))]

    def _picture(self) -> drawing.Image:
        return draw(self.places, self.floor, self.held, self.put_away)

    def _info(self) -> dict[str, Any]:
        return {**super()._info(), "success": self._success()}


def oracle(env: gym.Env[Any, Any]) -> int:
    """Take the first object on the floor, or put the one held where it belongs."""
    house = played(env, TidyHouse, "dragoman/TidyHouse-v0")
    if house.held is None:
        return 0
    return int(house.action_of(f"put {house.held} in {HOME[house.held]}"))


def _longest_text(num_objects: int, num_places: int) -> int:
    """Return an upper bound on the characters of a text: every object put in the longest place."""
    place, name = max(map(len, PLACES)), max(map(len, HOME))
    frame = len(f"{TASK} On the floor: nothing. Places: . You hold: nothing. Put away: nothing.")
    return frame + num_places * (place + 2) + num_objects * (name + len(" in , ") + place)


HEIGHT, WIDTH = 240, 320
SHELVES, HAND, FLOOR = 20, 160, 205
"""Top of each of the three zones, in pixels."""
SIDE = 14
"""Side of an object, in pixels; as tall as a place's column has room for ten of."""
WALL, GROUND, INSIDE = (236, 232, 222), (190, 160, 120), (255, 255, 255)


def draw(
    places: Sequence[str], floor: Sequence[str], held: str | None, put_away: Mapping[str, str]
) -> drawing.Image:
    """Return the picture of a house, uint8 ``(240, 320, 3)``."""
    frame = np.full((HEIGHT, WIDTH, 3), WALL, dtype=np.uint8)
    frame[FLOOR - 5 :] = GROUND
    contents: dict[str, list[str]] = {place: [] for place in places}
    for name, place in put_away.items():
        contents[place].append(name)
    for (place, names), left in zip(contents.items(), _columns(len(places)), strict=True):
        frame[SHELVES - 8 : HAND - 5, left - 2 : left + SIDE + 2] = _colour(place)
        frame[SHELVES - 2 : HAND - 7, left - 1 : left + SIDE + 1] = INSIDE
        for i, name in enumerate(names):
            _square(frame, SHELVES + i * (SIDE - 1), left, name)
    if held is not None:
        _square(frame, HAND, (WIDTH - SIDE) // 2, held)
    for name, left in zip(floor, _columns(len(floor)), strict=True):
        _square(frame, FLOOR, left, name)
    return frame


def _columns(count: int) -> list[int]:
    """Return the left edges of ``count`` squares spread over the width."""
    return [int((i + 0.5) * WIDTH / count - SIDE / 2) for i in range(count)]


def _square(frame: drawing.Image, top: int, left: int, name: str) -> None:
    frame[top : top + SIDE - 2, left : left + SIDE] = _colour(name)


def _colour(name: str) -> tuple[int, int, int]:
    code = zlib.crc32(name.encode())
    return code & 0xDF, code >> 8 & 0xDF, code >> 16 & 0xDF
