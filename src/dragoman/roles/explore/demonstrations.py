"""Demonstrations: the ways to rewards that an archive has found, in a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from dragoman.describe.moment import Moment, MomentMaker, moment_of
from dragoman.environments.indices import Indices
from dragoman.errors import RunError
from dragoman.files import read_json, write_json

NAME = "demonstrations.json"
CURE = "name a folder that `dragoman seek` has written, or seek again"


@dataclass(frozen=True)
class Demonstration:
    """One way from a start.

    Attributes:
        seed: Of the environment's reset.
        actions: Indices of the actions, counted from zero.
        episode_return: What they earn.
    """

    seed: int
    actions: tuple[int, ...]
    episode_return: float


@dataclass(frozen=True)
class Demonstrations:
    """What `dragoman.seek` has found.

    Attributes:
        env: The environment's name.
        env_settings: Keyword arguments of its constructor.
        episodes: The ways, the best of each start first.
        steps: Environment steps that were taken to find them, those of returning among them.
        states: States in the archives.
        path: The folder they lie in, if they were saved.
    """

    env: str
    env_settings: dict[str, Any]
    episodes: tuple[Demonstration, ...]
    steps: int
    states: int
    path: Path | None = None

    def write(self, folder: Path) -> None:
        """Write them into a folder."""
        data = {key: value for key, value in asdict(self).items() if key != "path"}
        write_json(folder / NAME, data)

    @classmethod
    def read(cls, folder: str | Path) -> Demonstrations:
        """Read what was written.

        Raises:
            RunError: There are none, or the file is damaged.
        """
        file = Path(folder) / NAME
        data = read_json(file, cure=CURE)
        try:
            episodes = tuple(
                Demonstration(int(one["seed"]), tuple(one["actions"]), one["episode_return"])
                for one in data.pop("episodes")
            )
            return cls(**data, episodes=episodes, path=Path(folder))
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{file} holds no demonstrations: {error!r}", cure=CURE) from error


@dataclass(frozen=True)
class Shown:
    """One step of a demonstration.

    Attributes:
        before: Where it was taken.
        action: Index of the action.
        reward: The environment's own.
        after: Where it has led.
        terminated: Whether the task has ended.
        truncated: Whether a time limit has.
    """

    before: Moment
    action: int
    reward: float
    after: Moment
    terminated: bool
    truncated: bool


def shown(
    env: gym.Env[Any, Any], make: MomentMaker, demonstrations: Sequence[Demonstration]
) -> Iterator[Shown]:
    """Play demonstrations again, and yield their steps.

    Raises:
        RunError: One earns another return now.
    """
    indices = Indices(env.action_space)
    for one in demonstrations:
        moment, total = moment_of(*env.reset(seed=one.seed), make), 0.0
        for action in one.actions:
            taken = indices.actions(np.array([action]))[0]
            observation, reward, terminated, truncated, info = env.step(taken)
            after = moment_of(observation, info, make)
            yield Shown(moment, action, float(reward), after, bool(terminated), bool(truncated))
            moment, total = after, total + float(reward)
        if not np.isclose(total, one.episode_return):
            raise RunError(
                f"a demonstration that earned {one.episode_return:g} earns {total:g} when it is "
                "played again",
                cure="seek in the same environment, with the same settings, or in one whose steps "
                "its seed decides",
            )
