"""The tasks that Dragoman knows: what each stands for, what it needs, and its reference policy.

`reference.json` beside this file holds what the uniformly random policy and the reference earn;
``benchmarks/references.py`` measures and writes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module, resources
from importlib.util import find_spec
from typing import Any

import gymnasium as gym

Policy = Callable[[gym.Env[Any, Any]], Any]
"""Chooses an action of an environment, into which it may look: it is a reference, not an agent."""

PACKAGES = {
    "atari": "ale_py",
    "boards": "pyspiel",
    "envs": "mujoco",
    "minigrid": "minigrid",
    "operations": "or_gymnasium",
    "textworld": "textworld",
}
"""Extra of this package to the module that shows whether it is installed."""


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        id: Environment, by its registered id.
        application: What it stands for.
        reference: Name of the reference policy.
        policy: Where that is, as ``module:function`` below `dragoman.tasks`.
        extra: Extra of this package that installs what it needs.
        settings: Keyword arguments of the environment's constructor.
        max_episode_steps: Time limit, where the environment has none of its own.
        episodes: Episodes that the scores are measured on.
    """

    id: str
    application: str
    reference: str
    policy: str
    extra: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    max_episode_steps: int | None = None
    episodes: int = 100

    @property
    def name(self) -> str:
        """Its id, and its settings where it has any."""
        settings = ", ".join(f"{key}={value}" for key, value in self.settings.items())
        return f"{self.id} ({settings})" if settings else self.id

    @property
    def cure(self) -> str:
        """How to install what it lacks, or nothing."""
        if self.extra is None or find_spec(PACKAGES[self.extra]) is not None:
            return ""
        return f"pip install 'dragoman[{self.extra}]'"

    def load_policy(self) -> Policy:
        """Return the reference policy."""
        module, _, function = self.policy.partition(":")
        policy: Policy = getattr(import_module(f"dragoman.tasks.{module}"), function)
        return policy


@dataclass(frozen=True)
class Score:
    """Mean return of a policy, undiscounted.

    Attributes:
        mean: Over the episodes.
        low: Lower limit of its 95 % bootstrap interval.
        high: Upper limit.
        episodes: How many, with seeds from 0 on.
    """

    mean: float
    low: float
    high: float
    episodes: int

    def __str__(self) -> str:
        return f"{self.mean:.3g} [{self.low:.3g}, {self.high:.3g}]"


TASKS: tuple[Task, ...] = (
    Task("CartPole-v1", "classic control", "linear feedback", "controllers:cart_pole"),
    Task("MountainCar-v0", "classic control", "energy pumping", "controllers:mountain_car"),
    Task("FrozenLake-v1", "toy text", "value iteration", "planner:optimal", episodes=1000),
    Task(
        "CliffWalking-v1",
        "toy text",
        "value iteration",
        "planner:optimal",
        max_episode_steps=200,
    ),
    Task("Taxi-v4", "toy text", "value iteration", "planner:optimal", episodes=300),
    Task("Pendulum-v1", "robot control", "energy control", "controllers:pendulum"),
    Task("Reacher-v5", "robot control", "Jacobian transpose", "controllers:reacher", "envs"),
    Task(
        "HalfCheetah-v5",
        "robot control",
        "open-loop gait",
        "controllers:half_cheetah",
        "envs",
        episodes=20,
    ),
    Task(
        "dragoman/JobShop-v0",
        "production",
        "most operations remaining",
        "job_shop:most_operations_remaining",
    ),
    Task(
        "dragoman/JobShop-v0",
        "production",
        "most operations remaining",
        "job_shop:most_operations_remaining",
        settings={"instance": "ft06"},
    ),
    Task("dragoman/CVRP-v0", "logistics", "savings", "routing:savings"),
    Task(
        "dragoman/Inventory-v0",
        "inventory",
        "base stock to the end",
        "inventory:echelon_base_stock_to_the_end",
        "operations",
    ),
    Task(
        "dragoman/Knapsack-v0",
        "allocation",
        "dynamic programming",
        "knapsack:exact",
        "operations",
    ),
    Task("dragoman/TicTacToe-v0", "board game", "tree search", "opponents:mcts", "boards"),
    Task("dragoman/ConnectFour-v0", "board game", "tree search", "opponents:mcts", "boards"),
    # Each move of the search takes most of a second.
    Task("dragoman/Chess-v0", "board game", "tree search", "opponents:mcts", "boards", episodes=4),
    Task(
        "dragoman/2048-v0",
        "board game",
        "random playouts",
        "opponents:playouts",
        "boards",
        episodes=3,
    ),
    Task(
        "dragoman/LeducPoker-v0",
        "board game",
        "tree search",
        "opponents:mcts",
        "boards",
        episodes=300,
    ),
    Task(
        "dragoman/BreakoutRAM-v0",
        "video game",
        "follow the ball",
        "atari:follow",
        "atari",
        episodes=10,
    ),
    Task(
        "dragoman/PongRAM-v0", "video game", "follow the ball", "atari:follow", "atari", episodes=10
    ),
    *(
        Task(
            f"dragoman/BabyAIText-{mission}-v0",
            "grid with missions",
            "BabyAI's bot",
            "babyai_bot:bot",
            "minigrid",
            settings={"split": split},
        )
        for mission in ("GoToLocal", "PickupLocal", "PutNextLocal", "OpenDoor", "Sequence", "Mixed")
        for split in ("train", "test")
    ),
    Task("dragoman/TidyHouse-v0", "text world", "oracle", "tidy_house:oracle"),
    Task(
        "dragoman/TidyHouse-v0",
        "text world",
        "oracle",
        "tidy_house:oracle",
        settings={"split": "test"},
    ),
    Task("dragoman/TMaze-v0", "memory", "oracle", "t_maze:oracle"),
    Task("dragoman/TextWorld-v0", "text world", "oracle", "textworld:oracle", "textworld"),
)


@cache
def _scores() -> dict[str, dict[str, Score]]:
    file = resources.files(__package__) / "reference.json"
    rows = json.loads(file.read_text(encoding="utf-8"))
    return {
        name: {policy: Score(**row[policy]) for policy in ("random", "reference")}
        for name, row in rows.items()
    }


def scores_of(task: Task) -> tuple[Score, Score]:
    """Return what the random and the reference policy of a task earn.

    Raises:
        KeyError: The task was added without measuring it: run ``benchmarks/references.py``.
    """
    result = _scores()[task.name]
    return result["random"], result["reference"]
