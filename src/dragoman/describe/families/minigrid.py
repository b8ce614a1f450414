"""What MiniGrid's environments show, in the sentences of BabyAI-Text.

    Goal: open the red door. You carry a red key. You see a wall 2 steps left. You see a locked red
    door 1 step right and 3 steps forward.

The sentences about a view are those of `dragoman.tasks.minigrid_view`. Behind MiniGrid's own
wrappers the same is read from a view of another size, or one-hot. The whole grid, which
`FullyObsWrapper` shows instead, is described by columns and rows:

    Goal: open the red door. The grid has 5 columns and 5 rows. You are in column 1 and row 3,
    facing right. A locked red door is in column 2 and row 1. Inner walls of column 2: rows 2 to 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import gymnasium as gym
import numpy as np

from dragoman.describe.families.family import Family, Writer
from dragoman.describe.numbers import number_writer
from dragoman.errors import SpaceError
from dragoman.phrases import shown
from dragoman.tasks.minigrid_view import (
    ACTIONS,
    COLOURS,
    DOORS,
    KINDS,
    THINGS,
    WALL,
    code_of,
    sentences,
)
from dragoman.types import Info

NEEDED = frozenset({"image", "mission"})
"""The parts of an observation that are read."""

FACING = ("right", "down", "left", "up")
"""Meanings of a direction, which is also the state of the cell where the agent stands."""

AGENT = KINDS.index("agent")


class MiniGrid(Family):
    """Any environment of the package ``minigrid``."""

    action_texts = ACTIONS
    package = "minigrid"

    def wrapped_writer(self, space: gym.Space[Any], wrappers: frozenset[str]) -> Writer | None:
        """Return what describes observations behind MiniGrid's own wrappers, or nothing."""
        has_parts = isinstance(space, gym.spaces.Dict) and space.keys() >= NEEDED
        image_sentences = _SENTENCES.get(
            wrappers - {"ViewSizeWrapper", "DirectionObsWrapper", "ImgObsWrapper"}
        )
        if image_sentences is None or not (has_parts or wrappers):
            return None
        if "ImgObsWrapper" in wrappers:
            return lambda image: ". ".join(image_sentences(image)) + "."

        def write(observation: Any) -> str:
            facts = _goal(observation) + image_sentences(observation["image"])
            direction = observation.get("goal_direction")
            if direction is not None:
                facts.append(f"Direction to the goal: {_slope(float(direction))}")
            return ". ".join(facts) + "."

        return write


@dataclass(frozen=True)
class MiniGridDescriber:
    """Describes the observations and actions of any MiniGrid environment; keeps no state.

    Args:
        parity: Write what BabyAI-Text writes to the letter, see `minigrid_view.sentences`.
    """

    parity: bool = False

    def observation(self, observation: Mapping[str, Any], info: Info) -> str:
        """Return the goal and what is seen, as one paragraph.

        Raises:
            SpaceError: The observation is not an egocentric view with a mission.
        """
        goal = _goal(observation)
        return ". ".join(goal + sentences(observation["image"], parity=self.parity)) + "."

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
    facts = [
        f"The grid has {columns} columns and {rows} rows",
        f"You are in column {column} and row {row}, facing {FACING[cells[column, row, 2] % 4]}",
    ]
    data = cells.tobytes()
    for place in np.flatnonzero((cells[..., 0] > WALL) & (cells[..., 0] != AGENT)).tolist():
        thing = THINGS[code_of(data, place)]
        facts.append(
            f"{thing[0].upper()}{thing[1:]} is in column {place // rows} and row {place % rows}"
        )
    # The outer walls are always there.
    for i in range(1, columns - 1):
        inner = (np.flatnonzero(cells[i, 1:-1, 0] == WALL) + 1).tolist()
        if inner:
            facts.append(f"Inner walls of column {i}: rows {', '.join(_runs(inner))}")
    return facts


def _runs(numbers: list[int]) -> Iterator[str]:
    """Yield "2 to 4" for numbers one after the other, and single ones as they are."""
    for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        yield str(members[0]) if len(members) == 1 else f"{members[0]} to {members[-1]}"


_SENTENCES: Mapping[frozenset[str], Callable[[Any], list[str]]] = {
    frozenset(): sentences,
    frozenset({"OneHotPartialObsWrapper"}): lambda image: sentences(_codes(image)),
    frozenset({"FullyObsWrapper"}): grid_sentences,
}
"""What describes an image, by the wrappers that have changed what it shows."""
