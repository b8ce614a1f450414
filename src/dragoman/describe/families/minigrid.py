"""What a MiniGrid agent sees, in the sentences of BabyAI-Text.

An observation holds an egocentric view: ``image``, uint8 ``(V, V, 3)`` of kind, colour and state,
indexed by column from the left and row from the far end, with the agent at ``(V // 2, V - 1)``,
looking along its column. Cells it cannot see are marked so, and nothing else is read: not the
compass ``direction``, since everything is told relative to the agent, and not the environment.

    Goal: open the red door. You carry a red key. You see a wall 2 steps left. You see a locked red
    door 1 step right and 3 steps forward.

The rules are those of BabyAI-Text (Carta et al. 2023, "Grounding Large Language Models in
Interactive Environments with Online Reinforcement Learning", arXiv 2302.02662), in this order:

1. what the agent carries;
2. the wall straight ahead, to the left and to the right, each only where it is the first thing in
   that line; other walls are not told;
3. everything else in view, column by column from the left, in each from the far end.

Behind MiniGrid's own wrappers the same is read from a view of another size, or one-hot. The whole
grid, which `FullyObsWrapper` shows instead, is told by columns and rows:

    Goal: open the red door. The grid has 5 columns and 5 rows. You are in column 1 and row 3,
    facing right. A locked red door is in column 2 and row 1. Inner walls of column 2: rows 2 to 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np

from dragoman.describe.numbers import number_writer, shown
from dragoman.errors import SpaceError
from dragoman.types import Info

ACTIONS = ("turn left", "turn right", "go forward", "pick up", "drop", "toggle", "done")
"""Texts of actions in MiniGrid's order; some environments leave out the last ones."""

NEEDED = frozenset({"image", "mission"})
"""The parts of an observation that are read."""

KINDS = ("unseen", "empty", "wall", "floor", "door", "key", "ball", "box", "goal", "lava", "agent")
COLOURS = ("red", "green", "blue", "purple", "yellow", "grey")
DOORS = ("open", "closed", "locked")
"""Meanings of the three numbers of a cell, in MiniGrid's order."""

FACING = ("right", "down", "left", "up")
"""Meanings of a direction, which is also the state of the cell where the agent stands."""

EMPTY, WALL = KINDS.index("empty"), KINDS.index("wall")
TOLD = range(KINDS.index("floor"), KINDS.index("agent"))
AGENT = KINDS.index("agent")
CARRIED = frozenset(KINDS.index(kind) for kind in ("key", "ball", "box"))


@dataclass(frozen=True)
class MiniGridDescriber:
    """Describes the observations and actions of any MiniGrid environment; keeps no state.

    >>> image = np.ones((7, 7, 3), dtype=np.uint8)  # an empty floor
    >>> image[3, 5], image[0, 4] = (2, 5, 0), (4, 0, 0)
    >>> MiniGridDescriber().sentences(image)
    ['You see a wall 1 step forward', 'You see an open red door 3 steps left and 2 steps forward']

    Args:
        parity: Write what BabyAI-Text writes to the letter, where by default its slips are mended:
            "a open" door is now "an open" one, "a red lava" is "lava", and where nothing is to be
            told, not even a wall, "You see nothing" stands instead of no sentence at all.
    """

    parity: bool = False

    def observation(self, observation: Mapping[str, Any], info: Info) -> str:
        """Return the goal and what is seen, as one paragraph.

        Raises:
            SpaceError: The observation is not an egocentric view with a mission.
        """
        return ". ".join(_goal(observation) + self.sentences(observation["image"])) + "."

    def action(self, action: Any) -> str:
        """Return one action in words.

        Raises:
            SpaceError: There is no such action.
        """
        if not 0 <= action < len(ACTIONS):
            raise SpaceError(
                f"action {shown(action)} is not one of MiniGrid's",
                cure=f"choose a whole number from 0 to {len(ACTIONS) - 1}",
            )
        return ACTIONS[int(action)]

    def sentences(self, image: Any) -> list[str]:
        """Return what is carried and seen, one fact a sentence, without full stops.

        Args:
            image: uint8 ``(V, V, 3)`` with an odd V.

        Raises:
            SpaceError: The image is not an egocentric view.
        """
        cells = _cells(image)
        size = len(image)
        kinds = cells[0::3]
        here = size * (size // 2) + size - 1
        lines, places = _geometry(size)
        things = _THINGS_PARITY if self.parity else _THINGS
        told = []
        if kinds[here] != EMPTY:
            told.append(f"You carry {things[_code(cells, here)]}")
        for line in lines:
            first = next((place for place in line if kinds[place] > EMPTY), None)
            if first is not None and kinds[first] == WALL:
                told.append(f"You see a wall {places[first]}")
        for place, kind in enumerate(kinds):
            if kind > WALL and place != here:
                told.append(f"You see {things[_code(cells, place)]} {places[place]}")
        if not told and not self.parity:
            told.append("You see nothing")
        return told


def _cells(image: Any) -> bytes:
    """Return the image's numbers, or raise a `SpaceError` where it is no egocentric view."""
    shape = getattr(image, "shape", None)
    if (
        shape is None
        or image.dtype != np.uint8
        or len(shape) != 3
        or shape[0] != shape[1]
        or shape[0] % 2 == 0
        or shape[2] != 3
    ):
        raise SpaceError(
            f"the image has shape {shape}, not (V, V, 3) of uint8 with an odd V",
            cure="describe the agent's own view, before wrappers change it",
        )
    cells: bytes = image.tobytes()
    size = len(image)
    here = size * (size // 2) + size - 1
    # Views of the whole grid have these shapes too, where the grid is as large as a view.
    if cells[3 * here] != EMPTY and cells[3 * here] not in CARRIED:
        raise SpaceError(
            "the agent is not where its own view has it, in the middle of the nearest row",
            cure="describe the agent's own view; views of the whole grid need another describer",
        )
    return cells


def _code(cells: bytes, place: int) -> int:
    """Return the key into a table of things, or raise a `SpaceError` for an unknown one."""
    kind, colour, state = cells[3 * place : 3 * place + 3]
    if kind not in TOLD or colour >= len(COLOURS) or state >= len(DOORS):
        raise SpaceError(
            f"a cell holds {(kind, colour, state)}, which MiniGrid does not know",
            cure=f"give a kind from {TOLD.start} to {TOLD.stop - 1}, a colour below "
            f"{len(COLOURS)} and a state below {len(DOORS)}",
        )
    return (kind * len(COLOURS) + colour) * len(DOORS) + state


@lru_cache
def _geometry(size: int) -> tuple[tuple[range, range, range], list[str]]:
    """Return the cells ahead, left and right, from the agent on, and where each cell lies.

    Cells are numbered column by column, as the image's numbers stand in memory.
    """
    middle, near = size // 2, size - 1
    here = size * middle + near
    ahead = range(here - 1, size * middle - 1, -1)
    left = range(here - size, -1, -size)
    right = range(here + size, size * size, size)
    places = [_place(column - middle, near - row) for column in range(size) for row in range(size)]
    return (ahead, left, right), places


def _place(right: int, forward: int) -> str:
    """Return ``2 steps left and 1 step forward``."""
    parts = ((abs(right), "right" if right > 0 else "left"), (forward, "forward"))
    return " and ".join(
        f"{count} step{'s' if count > 1 else ''} {side}" for count, side in parts if count
    )


def _thing(kind: str, colour: str, state: str, *, parity: bool) -> str:
    if kind == "lava" and not parity:
        return "lava"
    name = f"{state} {colour} {kind}" if kind == "door" else f"{colour} {kind}"
    return f"{'an' if name[0] in 'aeiou' and not parity else 'a'} {name}"


def _things(*, parity: bool) -> dict[int, str]:
    """Return what every code is called."""
    return {
        (kind * len(COLOURS) + i) * len(DOORS) + j: _thing(
            KINDS[kind], colour, state, parity=parity
        )
        for kind in TOLD
        for i, colour in enumerate(COLOURS)
        for j, state in enumerate(DOORS)
    }


def writer(wrappers: frozenset[str]) -> Callable[[Any], str] | None:
    """Return what describes observations behind MiniGrid's own wrappers, or nothing.

    Args:
        wrappers: Class names of the wrappers that change observations.
    """
    changed = wrappers - {"ViewSizeWrapper", "DirectionObsWrapper", "ImgObsWrapper"}
    tell = _TELLERS.get(changed)
    if tell is None:
        return None
    if "ImgObsWrapper" in wrappers:
        return lambda image: ". ".join(tell(image)) + "."

    def write(observation: Any) -> str:
        goal = _goal(observation)
        direction = observation.get("goal_direction")
        told = [] if direction is None else [f"Direction to the goal: {_slope(float(direction))}"]
        return ". ".join(goal + tell(observation["image"]) + told) + "."

    return write


def _goal(observation: Any) -> list[str]:
    if not isinstance(observation, Mapping) or not observation.keys() >= NEEDED:
        given = sorted(observation) if isinstance(observation, Mapping) else observation
        raise SpaceError(
            f"got {shown(given)} instead of the keys {sorted(NEEDED)}",
            cure="describe the agent's own view, before wrappers change it",
        )
    mission = observation["mission"]
    if not isinstance(mission, str):
        raise SpaceError(
            f"the mission is {shown(mission)}, not a text",
            cure="describe missions as MiniGrid gives them, before wrappers encode them",
        )
    # A playground has no mission.
    return [f"Goal: {mission}"] if mission else []


def _slope(direction: float) -> str:
    if math.isinf(direction):
        return "straight down" if direction > 0 else "straight up"
    return number_writer(3)(direction)


def _codes(image: Any) -> Any:
    """Return the cells ``(V, V, 3)`` of a one-hot view ``(V, V, 20)``."""
    sizes = (len(KINDS), len(COLOURS), len(DOORS))
    shape = np.shape(image)
    if len(shape) != 3 or shape[2] != sum(sizes):
        raise SpaceError(
            f"the image has shape {shape}, not (V, V, {sum(sizes)})",
            cure="describe the agent's view as OneHotPartialObsWrapper gives it",
        )
    parts = np.split(np.asarray(image), np.cumsum(sizes)[:-1], axis=2)
    return np.stack([part.argmax(axis=2) for part in parts], axis=2).astype(np.uint8)


def grid_sentences(image: Any) -> list[str]:
    """Return where the agent and all things are on the whole grid, without full stops.

    Args:
        image: uint8 ``(columns, rows, 3)``, as ``FullyObsWrapper`` gives it.

    Raises:
        SpaceError: The image is not the whole grid.
    """
    cells = np.asarray(image)
    places: Any = np.argwhere(cells[..., 0] == AGENT) if cells.ndim == 3 else []
    if len(places) != 1 or cells.dtype != np.uint8 or cells.shape[2] != 3:
        raise SpaceError(
            f"the image has shape {cells.shape} and {len(places)} agents in it, but the whole grid "
            "has shape (columns, rows, 3) of uint8 and one agent",
            cure="describe the grid as FullyObsWrapper gives it",
        )
    column, row = places[0].tolist()
    columns, rows = cells.shape[:2]
    told = [
        f"The grid has {columns} columns and {rows} rows",
        f"You are in column {column} and row {row}, facing {FACING[cells[column, row, 2] % 4]}",
    ]
    data = cells.tobytes()
    for place in np.flatnonzero((cells[..., 0] > WALL) & (cells[..., 0] != AGENT)).tolist():
        thing = _THINGS[_code(data, place)]
        told.append(
            f"{thing[0].upper()}{thing[1:]} is in column {place // rows} and row {place % rows}"
        )
    # The outer walls are always there.
    for i in range(1, columns - 1):
        inner = (np.flatnonzero(cells[i, 1:-1, 0] == WALL) + 1).tolist()
        if inner:
            told.append(f"Inner walls of column {i}: rows {', '.join(_runs(inner))}")
    return told


def _runs(numbers: list[int]) -> Iterator[str]:
    """Yield "2 to 4" for numbers one after the other, and single ones as they are."""
    for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        yield str(members[0]) if len(members) == 1 else f"{members[0]} to {members[-1]}"


_THINGS, _THINGS_PARITY = _things(parity=False), _things(parity=True)

_TELLERS: Mapping[frozenset[str], Callable[[Any], list[str]]] = {
    frozenset(): lambda image: MiniGridDescriber().sentences(image),
    frozenset({"OneHotPartialObsWrapper"}): lambda image: MiniGridDescriber().sentences(
        _codes(image)
    ),
    frozenset({"FullyObsWrapper"}): grid_sentences,
}
"""What tells of an image, by the wrappers that have changed what it shows."""
