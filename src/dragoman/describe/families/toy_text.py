"""Sentences for Gymnasium's toy text tasks.

They name what the player sees on the board beside its own square: the map of an environment does
not change, and is part of its documentation or its settings. Nothing else of the environment is
read, so that a text follows from the observation alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym

from dragoman.describe.families.family import Family, Writer
from dragoman.phrases import counted

STEPS = {"left": (0, -1), "down": (1, 0), "right": (0, 1), "up": (-1, 0)}
"""Rows and columns that a move leads on by."""
SQUARES = {"S": "ice", "F": "ice", "H": "a hole", "G": "the goal"}
STOPS = ("red", "green", "yellow", "blue")
ROADS = ("south", "north", "east", "west")
"""The first four actions of the taxi."""


class Grid(Family):
    """Squares in rows and columns, of which an observation is the number of one."""

    def fields(self, env: Any) -> Mapping[str, Writer]:
        """Return row and column, and how many of them there are."""
        shape = _grid_of(env)
        if shape is None:
            return {}
        rows, columns = shape
        return {
            "row": lambda cell: str(int(cell) // columns),
            "column": lambda cell: str(int(cell) % columns),
            "rows": lambda cell: str(rows),
            "columns": lambda cell: str(columns),
        }


class FrozenLake(Grid):
    """A lake with holes."""

    def writer(self, env: Any) -> Writer | None:
        """Return what describes a square of the lake: its neighbours and the way to the goal."""
        shape = _grid_of(env)
        if shape is None:
            return None
        rows, columns = shape
        letters = [[letter.decode() for letter in line] for line in env.desc.tolist()]
        goals = [(r, c) for r in range(rows) for c in range(columns) if letters[r][c] == "G"]
        # A slippery lake leads from one square to several; the setting itself is not kept.
        slippery = any(len(ends) > 1 for moves in env.P.values() for ends in moves.values())

        def square(row: int, column: int) -> str:
            if not (0 <= row < rows and 0 <= column < columns):
                return "the edge"
            return SQUARES[letters[row][column]]

        def write(cell: int) -> str:
            row, column = divmod(int(cell), columns)
            place = f"at row {row}, column {column} of {rows}x{columns}."
            if _is_random(env):
                return f"You stand on a frozen lake {place}"
            return " ".join(
                (
                    f"You stand on {_here(letters[row][column])} {place}",
                    _next_to(square, row, column),
                    *(f"The goal is {_way(row, column, goal)}." for goal in goals),
                    "The ice is slippery." if slippery else "The ice is not slippery.",
                )
            )

        return _listed(write, rows * columns)


class CliffWalking(Grid):
    """A walk along a cliff, from whose foot one starts again."""

    def writer(self, env: Any) -> Writer | None:
        """Return what describes a square: its neighbours and the way to the goal."""
        shape = _grid_of(env)
        if shape is None:
            return None
        rows, columns = shape

        def square(row: int, column: int) -> str:
            if not (0 <= row < rows and 0 <= column < columns):
                return "the edge"
            if env._cliff[row, column]:
                return "the cliff"
            return "the goal" if (row, column) == (rows - 1, columns - 1) else "ground"

        slippery = " The ground is slippery." if getattr(env, "is_slippery", False) else ""

        def write(cell: int) -> str:
            row, column = divmod(int(cell), columns)
            return (
                f"You stand at row {row}, column {column} of {rows}x{columns}. "
                f"{_next_to(square, row, column)} "
                f"The goal is {_way(row, column, (rows - 1, columns - 1))}.{slippery}"
            )

        return _listed(write, rows * columns)


class Taxi(Family):
    """A taxi in a city of 5 by 5 squares."""

    def writer(self, env: Any) -> Writer | None:
        """Return what describes taxi, passenger and destination, and which ways have no wall."""
        if env.observation_space != gym.spaces.Discrete(500):
            return None

        def write(state: int) -> str:
            row, column, passenger, destination = env.decode(int(state))
            mask = env.action_mask(int(state))
            ways = [way for way, is_open in zip(ROADS, mask, strict=False) if is_open]
            waits = (
                "sits in the taxi"
                if passenger == len(STOPS)
                else f"waits at the {STOPS[passenger]} stop {_square(env.locs[passenger])}"
            )
            return (
                f"You drive a taxi at row {row}, column {column} of a 5x5 city. "
                f"The passenger {waits}. "
                f"Destination: the {STOPS[destination]} stop {_square(env.locs[destination])}. "
                f"Roads lead {', '.join(ways)}."
            )

        return _listed(write, 500)


class Blackjack(Family):
    """Cards of the player and of the dealer."""

    def writer(self, env: Any) -> Writer | None:
        """Return what describes the player's sum, the dealer's open card and a usable ace."""
        space = env.observation_space
        if not isinstance(space, gym.spaces.Tuple) or len(space.spaces) != 3:
            return None

        def write(hand: tuple[int, int, int]) -> str:
            total, dealer, usable = (int(part) for part in hand)
            card = "an ace" if dealer == 1 else f"a card of {dealer}"
            ace = "an ace that counts 11" if usable else "no ace that counts 11"
            return f"Your cards sum to {total}, with {ace}. The dealer shows {card}."

        return write


def _is_random(env: Any) -> bool:
    """Whether every copy of the lake draws a map of its own, so that it cannot be known."""
    settings = {} if env.spec is None else env.spec.kwargs
    return settings.get("map_name", "4x4") is None and settings.get("desc") is None


def _grid_of(env: Any) -> tuple[int, int] | None:
    """Return rows and columns of the map, if the observations number its squares."""
    rows, columns = env.desc.shape if hasattr(env, "desc") else env.shape
    if env.observation_space != gym.spaces.Discrete(rows * columns):
        return None
    return int(rows), int(columns)


def _listed(write: Callable[[int], str], size: int) -> Writer:
    """Write every text once, since there are few: a text is then a look-up."""
    texts = [write(state) for state in range(size)]
    return lambda state: texts[int(state)]


def _here(letter: str) -> str:
    return {"H": "a hole in a frozen lake", "G": "the goal on a frozen lake"}.get(
        letter, "a frozen lake"
    )


def _next_to(square: Callable[[int, int], str], row: int, column: int) -> str:
    sides = (f"{side}: {square(row + r, column + c)}" for side, (r, c) in STEPS.items())
    return f"Next to you: {', '.join(sides)}."


def _way(row: int, column: int, goal: tuple[int, int]) -> str:
    down, right = goal[0] - row, goal[1] - column
    parts = []
    if down:
        parts.append(f"{counted(abs(down), 'row')} {'down' if down > 0 else 'up'}")
    if right:
        parts.append(f"{counted(abs(right), 'column')} {'right' if right > 0 else 'left'}")
    return " and ".join(parts) or "here"


def _square(place: tuple[int, int]) -> str:
    return f"(row {place[0]}, column {place[1]})"
