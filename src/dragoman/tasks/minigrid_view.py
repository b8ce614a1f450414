"""What a MiniGrid agent sees, in the sentences of BabyAI-Text.

An observation holds an egocentric view: ``image``, uint8 ``(V, V, 3)`` of kind, colour and state,
indexed by column from the left and row from the far end, with the agent at ``(V // 2, V - 1)``,
looking along its column. Cells it cannot see are marked so, and nothing else is read: not the
compass ``direction``, since everything is said relative to the agent, and not the environment.

    You carry a red key. You see a wall 2 steps left. You see a locked red door 1 step right and 3
    steps forward.

The rules are those of BabyAI-Text (Carta et al. 2023, "Grounding Large Language Models in
Interactive Environments with Online Reinforcement Learning", arXiv 2302.02662), in this order:

1. what the agent carries;
2. the wall straight ahead, to the left and to the right, each only where it is the first thing in
   that line; other walls are not said;
3. everything else in view, column by column from the left, in each from the far end.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from dragoman.errors import SpaceError
from dragoman.phrases import counted

ACTIONS = ("turn left", "turn right", "go forward", "pick up", "drop", "toggle", "done")
"""Texts of actions in MiniGrid's order; some environments leave out the last ones."""

KINDS = ("unseen", "empty", "wall", "floor", "door", "key", "ball", "box", "goal", "lava", "agent")
COLOURS = ("red", "green", "blue", "purple", "yellow", "grey")
DOORS = ("open", "closed", "locked")
"""Meanings of the three numbers of a cell, in MiniGrid's order."""

EMPTY, WALL = KINDS.index("empty"), KINDS.index("wall")
NAMED = range(KINDS.index("floor"), KINDS.index("agent"))
CARRIED = frozenset(KINDS.index(kind) for kind in ("key", "ball", "box"))


def sentences(image: Any, *, parity: bool = False) -> list[str]:
    """Return what is carried and seen, one fact a sentence, without full stops.

    >>> image = np.ones((7, 7, 3), dtype=np.uint8)  # an empty floor
    >>> image[3, 5], image[0, 4] = (2, 5, 0), (4, 0, 0)
    >>> sentences(image)
    ['You see a wall 1 step forward', 'You see an open red door 3 steps left and 2 steps forward']

    Args:
        image: uint8 ``(V, V, 3)`` with an odd V.
        parity: Write what BabyAI-Text writes to the letter, where by default its slips are mended:
            "a open" door is now "an open" one, "a red lava" is "lava", and where nothing is to be
            said, not even a wall, "You see nothing" stands instead of no sentence at all.

    Raises:
        SpaceError: The image is not an egocentric view.
    """
    cells = _cells(image)
    size = len(image)
    kinds = cells[0::3]
    here = size * (size // 2) + size - 1
    lines, places = _geometry(size)
    things = THINGS_PARITY if parity else THINGS
    result = []
    if kinds[here] != EMPTY:
        result.append(f"You carry {things[code_of(cells, here)]}")
    for line in lines:
        first = next((place for place in line if kinds[place] > EMPTY), None)
        if first is not None and kinds[first] == WALL:
            result.append(f"You see a wall {places[first]}")
    for place, kind in enumerate(kinds):
        if kind > WALL and place != here:
            result.append(f"You see {things[code_of(cells, place)]} {places[place]}")
    if not result and not parity:
        result.append("You see nothing")
    return result


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


def code_of(cells: bytes, place: int) -> int:
    """Return the key into a table of things, or raise a `SpaceError` for an unknown one."""
    kind, colour, state = cells[3 * place : 3 * place + 3]
    if kind not in NAMED or colour >= len(COLOURS) or state >= len(DOORS):
        raise SpaceError(
            f"a cell holds {(kind, colour, state)}, which MiniGrid does not know",
            cure=f"give a kind from {NAMED.start} to {NAMED.stop - 1}, a colour below "
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
    return " and ".join(f"{counted(count, 'step')} {side}" for count, side in parts if count)


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
        for kind in NAMED
        for i, colour in enumerate(COLOURS)
        for j, state in enumerate(DOORS)
    }


THINGS, THINGS_PARITY = _things(parity=False), _things(parity=True)
"""What a cell's kind, colour and state are called, by `code_of`."""
