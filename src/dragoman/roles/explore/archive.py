"""Return and explore: an archive of described states, which a language model chooses from.

Lu, Hu and Clune, "Intelligent Go-Explore" (2024), after Ecoffet and others (2021): choose a state
that was reached, return to it, and try what was not tried there; what is new goes into the archive
with the actions that lead to it, and a shorter way replaces a longer one. Here the model scores the
texts of states and actions instead of writing an answer, so that none can be misread; and every new
state is kept, where the paper asks the model whether it is worth it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import gymnasium as gym
import numpy as np

from dragoman.describe.exact import key_writer
from dragoman.describe.moment import Moment, MomentMaker, moment_of
from dragoman.environments.indices import Indices
from dragoman.errors import SpaceError

Restore = Literal["replay", "copy"]
"""How to return: by the actions from the start, or to a copy of the environment."""


@dataclass
class Cell:
    """A state in the archive.

    Attributes:
        text: In words.
        key: What it is known by.
        actions: The indices of the fewest actions that lead to it from the start.
        episode_return: What they earn.
        best: What the way that earns most earns, and its actions.
        ended: Whether the episode ends in it.
        terminated: Whether that is an end of the task, and no time limit.
        tried: Indices of the actions that were tried in it.
        valid: Indices of all valid ones.
        visits: How often it was reached.
        saved: A copy of the environment in this state, and its moment, if copies are kept.
    """

    text: str
    key: bytes
    actions: tuple[int, ...] = ()
    episode_return: float = 0.0
    best: tuple[float, tuple[int, ...]] = (0.0, ())
    ended: bool = False
    terminated: bool = False
    tried: set[int] = field(default_factory=set)
    valid: tuple[int, ...] = ()
    visits: int = 0
    saved: tuple[gym.Env[Any, Any], Moment] | None = None

    @property
    def untried(self) -> list[int]:
        """Valid actions that were not tried here."""
        return [action for action in self.valid if action not in self.tried]


class Chooser(Protocol):
    """What chooses where to return to, and what to try there."""

    def state(self, cells: Sequence[Cell]) -> int:
        """Return the place of one of these states."""
        ...

    def action(self, moment: Moment, untried: Sequence[int]) -> int:
        """Return one of these actions."""
        ...


class Archive:
    """Explores one start of an environment.

    Args:
        env: The environment, of Discrete actions.
        make: Makes its moments.
        seed: Of its reset, from which all ways begin.
        restore: How to return.

    Attributes:
        cells: The states, by key, in the order in which they were found.
        steps: Environment steps so far, those of returning among them.

    Raises:
        SpaceError: Its actions are not Discrete, or nothing separates its observations.
    """

    def __init__(
        self, env: gym.Env[Any, Any], make: MomentMaker, seed: int, restore: Restore = "replay"
    ) -> None:
        if not isinstance(env.action_space, gym.spaces.Discrete):
            raise SpaceError(
                f"an archive tries single actions, but the actions are {env.action_space}",
                cure="use an environment of Discrete actions",
            )
        self.env, self.seed, self.restore = env, seed, restore
        self.cells: dict[bytes, Cell] = {}
        self.steps = 0
        self._make = make
        self._key = key_writer(env.observation_space)
        self._indices = Indices(env.action_space)
        self._found(self._started(), (), 0.0, ended=False, terminated=False)

    def explore(self, chooser: Chooser, visits: int, tries: int) -> Iterator[Cell]:
        """Return to a state and try actions there, again and again; yield what is reached.

        Args:
            chooser: Chooses states and actions.
            visits: How often to return.
            tries: Most actions after each return.
        """
        for _ in range(visits):
            cells = [cell for cell in self.cells.values() if cell.untried and not cell.ended]
            if not cells:
                return
            cell = cells[chooser.state(cells)]
            moment = self._returned(cell)
            for _ in range(tries):
                if cell.ended or not cell.untried:
                    break
                action = chooser.action(moment, cell.untried)
                cell.tried.add(action)
                moment, cell = self._tried(cell, action)
                yield cell

    def best(self, most: int) -> list[tuple[float, tuple[int, ...]]]:
        """Return the highest returns above 0 with the actions that earn them, the highest first.

        None is the beginning of another, and of equal returns the shorter comes first.

        Args:
            most: Most of them.
        """
        good = [cell.best for cell in self.cells.values() if cell.best[0] > 0]
        good.sort(key=lambda way: (-way[0], len(way[1])))
        result: list[tuple[float, tuple[int, ...]]] = []
        for total, actions in good:
            begun = [other[: len(actions)] for _, other in result]
            if actions not in begun and len(result) < most:
                result.append((total, actions))
        return result

    def _started(self) -> Moment:
        return moment_of(*self.env.reset(seed=self.seed), self._make)

    def _stepped(self, action: int) -> tuple[Moment, float, bool, bool]:
        self.steps += 1
        taken = self._indices.actions(np.array([action]))[0]
        observation, reward, terminated, truncated, info = self.env.step(taken)
        return moment_of(observation, info, self._make), float(reward), terminated, truncated

    def _tried(self, cell: Cell, action: int) -> tuple[Moment, Cell]:
        moment, reward, terminated, truncated = self._stepped(action)
        actions, total = (*cell.actions, action), cell.episode_return + reward
        ended = bool(terminated or truncated)
        return moment, self._found(moment, actions, total, ended=ended, terminated=bool(terminated))

    def _found(
        self,
        moment: Moment,
        actions: tuple[int, ...],
        total: float,
        *,
        ended: bool,
        terminated: bool,
    ) -> Cell:
        # A state in which the episode ends is another one than the same on the way.
        key = self._key(moment.observation) + (b"end" if ended else b"")
        known = self.cells.get(key)
        cell = known or Cell(moment.state, key, ended=ended, terminated=terminated)
        if known is None or (total, -len(actions)) > (cell.best[0], -len(cell.best[1])):
            cell.best = total, actions
        if known is None or (len(actions), -total) < (len(cell.actions), -cell.episode_return):
            cell.actions, cell.episode_return = actions, total
            if self.restore == "copy" and not ended:
                cell.saved = copy.deepcopy(self.env), moment
        cell.valid = tuple(np.flatnonzero(moment.valid).tolist())
        cell.visits += 1
        self.cells[key] = cell
        return cell

    def _returned(self, cell: Cell) -> Moment:
        """Return to a state, and its moment.

        Raises:
            SpaceError: The same actions have led elsewhere.
        """
        if self.restore == "copy":
            assert cell.saved is not None
            env, moment = cell.saved
            self.env = copy.deepcopy(env)
            return moment
        moment, ended = self._started(), False
        for action in cell.actions:
            moment, _, terminated, truncated = self._stepped(action)
            ended = terminated or truncated
        if ended or self._key(moment.observation) != cell.key:
            raise SpaceError(
                f"{len(cell.actions)} actions that once led to {cell.text[:60]!r} now lead to "
                f"{moment.state[:60]!r}, with the same seed of the reset",
                cure="restore by 'copy', or use an environment whose steps its seed decides",
            )
        return moment
