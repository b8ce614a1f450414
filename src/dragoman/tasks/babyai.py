"""BabyAI-Text on today's MiniGrid: missions in small rooms, described in words.

One room of 8 by 8 cells holds the objects of the mission and some more (two rooms with a locked
door between them, where the mission is to open it). The agent sees 7 by 7 cells before it, none of
them behind a wall or a shut door. ``info["text"]`` says what it sees in the sentences of
`dragoman.tasks.minigrid_view`; the observation itself is MiniGrid's.

    go to           face an object of this kind and colour, right in front
    pick up         pick it up
    put next to     put one object down beside another
    open            open a locked door with the key of its colour
    sequence        pick up one object and then go to another, in two wordings

The kinds of missions, their share in `Mixed` (one in five each), the rooms and the held-out names
are those of Carta et al. 2023 ("Grounding Large Language Models in Interactive Environments with
Online Reinforcement Learning", arXiv 2302.02662; levels MixedTrainLocal and MixedTestLocal of its
code). Three things differ. The kind is drawn for every episode from the episode's own seed, where
theirs is drawn once for each copy of the environment and never seeded. The two objects of a
sequence differ in kind or colour, because MiniGrid counts a cell just emptied as an object still to
be gone to. Rewards are MiniGrid's own, 1 - 0.9 t / T at step t of at most T and 0 otherwise; theirs
are 20 times as large.

The limit T is 64 steps for going and picking up and 128 for the others, for rooms of 8; time that
runs out is a truncation.

References: `dragoman.tasks.babyai_bot.bot` plans with what the agent has seen, `masks.uniform` acts
at random.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypeAlias

import gymnasium as gym
import numpy as np

from dragoman.errors import MissingExtraError
from dragoman.tasks import picture as drawing
from dragoman.tasks.arguments import one_of, whole_number
from dragoman.tasks.base import SpeakingEnv
from dragoman.tasks.minigrid_view import ACTIONS, sentences

try:
    from minigrid.core.roomgrid import RoomGrid
    from minigrid.envs.babyai.core.roomgrid_level import RejectSampling, RoomGridLevel
    from minigrid.envs.babyai.core.verifier import (
        AfterInstr,
        BeforeInstr,
        GoToInstr,
        Instr,
        ObjDesc,
        OpenInstr,
        PickupInstr,
        PutNextInstr,
    )
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name).partition(".")[0], extra="minigrid") from error

Split: TypeAlias = Literal["train", "test"]
Thing: TypeAlias = tuple[str, str]
"""Colour and kind."""
Observation: TypeAlias = dict[str, Any]
"""``image``, uint8 ``(7, 7, 3)``, ``direction`` and ``mission``."""

COLOURS = ("red", "green", "blue", "purple", "yellow", "grey")
OBJECTS = tuple((colour, kind) for colour in COLOURS for kind in ("key", "ball", "box"))
DOORS = tuple((colour, "door") for colour in COLOURS)
HELD_OUT = frozenset(
    {("yellow", "box"), ("red", "key"), ("green", "ball"), ("red", "door"), ("grey", "door")}
)
"""What no mission of ``train`` names, and what every mission of ``test`` names nothing else than.

Only missions are split: these things lie about in the rooms of both.
"""

KINDS = ("go to", "pick up", "put next to", "open", "sequence")
SMALLEST_ROOM, LARGEST_ROOM = 5, 12
NUM_ACTIONS = 6
"""MiniGrid's seventh, ``done``, does nothing here."""


def things(split: Split, among: tuple[Thing, ...]) -> list[Thing]:
    """Return what the missions of a split name."""
    return [thing for thing in among if (thing in HELD_OUT) == (split == "test")]


class BabyAIText(SpeakingEnv, RoomGridLevel):  # type: ignore[misc] # typed in part, so read as untyped
    """A mission of one of its `kinds`.

    ``info`` holds:

    * ``text``: the mission and what the agent sees and carries, in words;
    * ``action_texts``: the 6 texts of the actions, which never change;
    * ``action_mask``: int8 ``(6,)``, all 1, since an action that can do nothing may be tried;
    * ``success``: whether the mission is accomplished.

    Args:
        split: ``train``, or ``test`` for missions about the things of `HELD_OUT`.
        num_distractors: Objects that the mission needs not, of any kind and colour.
        room_size: Cells along the outside of a room.
        max_steps: Time limit instead of MiniGrid's own, which depends on mission and room.
        parity: Write the sentences as published, slips included (`minigrid_view.sentences`).
        render_mode: ``ansi`` for the text, ``rgb_array`` for MiniGrid's picture of the rooms.

    Raises:
        ConfigError: An argument is outside its range.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        **SpeakingEnv.metadata,
        "render_fps": 10,
    }
    kinds: ClassVar[tuple[str, ...]] = KINDS
    """Kinds of missions, of which every episode draws one."""

    def __init__(
        self,
        split: Split = "train",
        num_distractors: int = 8,
        room_size: int = 8,
        max_steps: int | None = None,
        parity: bool = False,
        render_mode: Literal["ansi", "rgb_array"] | None = None,
    ) -> None:
        one_of("split", split, Split)
        SpeakingEnv.__init__(self, render_mode)
        room_size = whole_number("room_size", room_size, SMALLEST_ROOM, LARGEST_ROOM)
        # Fuller rooms leave objects that cannot be reached, and drawing one that works takes long.
        room_for = (room_size - 2) ** 2 // 3 - 1
        num_distractors = whole_number("num_distractors", num_distractors, 0, room_for)
        if max_steps is not None:
            max_steps = whole_number("max_steps", max_steps, 1, 10**6)
        self.split = split
        self.num_distractors = num_distractors
        self.parity = parity
        self.last_action: int | None = None
        self._is_over = True
        RoomGridLevel.__init__(
            self,
            room_size=room_size,
            num_rows=1,
            num_cols=1,
            max_steps=max_steps,
            render_mode=render_mode,
        )
        self.action_space = gym.spaces.Discrete(NUM_ACTIONS)

    def _begin(self) -> None:
        self.last_action = None
        self._seen: Observation = self.gen_obs()
        self._is_over = self.is_truncated = False

    def _take(self, action: int) -> float:
        # MiniGrid sets both where the last step allowed accomplishes the mission.
        self._seen, reward, terminated, truncated, _ = RoomGridLevel.step(self, action)
        self.last_action = action
        self.is_truncated = bool(truncated and not terminated)
        self._is_over = bool(terminated or truncated)
        return float(reward)

    @property
    def is_over(self) -> bool:
        """Whether the mission is accomplished or the time is up."""
        return self._is_over

    def _observation(self) -> Observation:
        return self._seen

    def text(self) -> str:
        """Return the mission and what the agent sees and carries, in words."""
        facts = sentences(self._seen["image"], parity=self.parity)
        return ". ".join([f"Goal: {self.mission}", *facts]) + "."

    def _picture(self) -> drawing.Image:
        frame = RoomGridLevel.render(self)
        # Videos want one size, and only missions to open a door have a second room.
        widest = self._width(2 if "open" in self.kinds else 1) * self.tile_size
        return np.pad(frame, ((0, 0), (0, widest - frame.shape[1]), (0, 0)))

    def gen_mission(self) -> None:
        """Furnish the rooms and set the instruction, as MiniGrid's levels do."""
        self.instrs = self._open() if self._kind == "open" else self._about_objects(self._kind)

    def _gen_grid(self, width: int, height: int) -> None:
        """Draw rooms until they suit; unlike MiniGrid's own loop it prints nothing."""
        self._kind = str(self._rand_elem(self.kinds))
        self.num_cols = 2 if self._kind == "open" else 1
        self.width = self._width(self.num_cols)
        while True:
            RoomGrid._gen_grid(self, self.width, height)
            try:
                self.gen_mission()
                self.validate_instrs(self.instrs)
            except (RejectSampling, RecursionError):
                continue
            break
        self.surface = self.mission = self.instrs.surface(self)

    def _about_objects(self, kind: str) -> Instr:
        """Furnish one room around the agent, for any mission but to open a door."""
        self.place_agent(0, 0)
        named = self._rand_subset(things(self.split, OBJECTS), 1 if kind in KINDS[:2] else 2)
        for colour, object_kind in named:
            self.add_object(0, 0, object_kind, colour)
        self.add_distractors(0, 0, self.num_distractors, all_unique=False)
        self.check_objs_reachable()
        first, *rest = (ObjDesc(object_kind, colour) for colour, object_kind in named)
        if kind == "go to":
            return GoToInstr(first)
        if kind == "pick up":
            return PickupInstr(first)
        if kind == "put next to":
            return PutNextInstr(first, *rest)
        if self._rand_bool():
            return BeforeInstr(PickupInstr(first), GoToInstr(*rest))
        return AfterInstr(GoToInstr(*rest), PickupInstr(first))

    def _open(self) -> Instr:
        """Lock one of two rooms, and furnish the other with its key and the agent."""
        locked = int(self._rand_int(0, 2))
        here = 1 - locked
        colour, _ = self._rand_elem(things(self.split, DOORS))
        self.add_door(here, 0, 2 * here, colour, locked=True)
        self.add_object(here, 0, "key", colour)
        self.add_distractors(here, 0, self.num_distractors, all_unique=False)
        self.place_agent(here, 0)
        self.check_objs_reachable()
        # Half of the training missions do not name the door's colour, as published.
        is_told = self.split == "test" or self._rand_bool()
        return OpenInstr(ObjDesc("door", colour if is_told else None))

    def _width(self, num_rooms: int) -> int:
        return int((self.room_size - 1) * num_rooms + 1)

    def _info(self) -> dict[str, Any]:
        return {**super()._info(), "success": self._is_over and not self.is_truncated}

    def _action_texts(self) -> list[str]:
        return list(ACTIONS[:NUM_ACTIONS])


class GoToLocal(BabyAIText):
    """Go to an object."""

    kinds = ("go to",)


class PickupLocal(BabyAIText):
    """Pick up an object."""

    kinds = ("pick up",)


class PutNextLocal(BabyAIText):
    """Put an object next to another."""

    kinds = ("put next to",)


class OpenDoor(BabyAIText):
    """Open a locked door, whose key lies in the agent's room."""

    kinds = ("open",)


class Sequence(BabyAIText):
    """Pick up an object, then go to another."""

    kinds = ("sequence",)


class Mixed(BabyAIText):
    """One of all five, drawn for every episode."""
