"""A grid without holes whose one reward stands in the far corner, and a model that knows where."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import numpy as np

from dragoman.testing import ScriptedModel

SIZE = 12
LAKE = "You stand on a frozen lake at row {}, column {}."
GOAL = f"You stand on the goal on a frozen lake at row {SIZE - 1}, column {SIZE - 1}."
START = LAKE.format(0, 0)
EXPERIMENT = {
    "env": "FrozenLake-v1",
    "env_settings": {
        "desc": ["S" + "F" * (SIZE - 1), *["F" * SIZE] * (SIZE - 2), "F" * (SIZE - 1) + "G"],
        "is_slippery": False,
    },
    "max_episode_steps": 50,
    "steps": 8_000,
    "num_envs": 8,
    "observe": None,
    "algorithm": {
        "name": "ppo",
        "settings": {
            "n_steps": 64,
            "batch_size": 256,
            "n_epochs": 10,
            "learning_rate": 0.001,
            "ent_coef": 0.01,
        },
    },
}
"""Random play meets the goal in about one of 500 episodes."""


def nearness(text: str) -> float:
    """Return from 0 at the start to 1 at the goal."""
    row, column = map(int, re.findall(r"row (\d+), column (\d+)", text)[-1])
    return (row + column) / (2 * SIZE - 2)


def is_in_grid(text: str) -> bool:
    return re.search(r"row \d+, column", text) is not None


def direction(text: str) -> list[float]:
    """Return an embedding whose angle to the goal's falls with the distance."""
    angle = (1.0 - nearness(text)) * np.pi / 2 if is_in_grid(text) else np.pi / 4
    return [float(np.cos(angle)), float(np.sin(angle))]


def places(prompt: str) -> Sequence[float]:
    return [nearness(line) for line in prompt.splitlines() if is_in_grid(line)]


def log_probs(prompt: str, answer: str) -> list[float]:
    """Answer yes or no of a place, or 1 or 2 of two places, by where the goal is."""
    result = places(prompt)
    if len(result) == 2:
        yes = 1 / (1 + np.exp(-20 * (result[1] - result[0])))
        return [float(np.log(yes if answer == " 2" else 1 - yes))]
    yes = 0.1 + 0.8 * (result[0] if result else 0.5)
    return [float(np.log(yes if answer == " yes" else 1 - yes))]


def write(prompt: str, seed: int) -> str:
    score = round(10 * places(prompt)[-1])
    return json.dumps({"critique": f"{score} tenths of the way.", "score": score})


def knowing_model() -> ScriptedModel:
    """Return a model that knows where the goal is, and tells in every way that it is asked."""
    return ScriptedModel(direction, log_probs=log_probs, write=write)


REWARDS = {
    "goal-similarity": {"use": "goal-similarity", "goal": GOAL},
    "goal-baseline": {"use": "goal-similarity", "goal": GOAL, "baseline": START},
    "goal-reached": {
        "use": "goal-reached",
        "goals": [*(LAKE.format(i, i) for i in range(1, SIZE - 1)), GOAL],
        "threshold": 0.9999,
        "shaping": "bonus",
        "weight": 0.3,
    },
    "judge": {"use": "judge", "question": "Is this near the goal?"},
    "critique": {"use": "critique", "question": "How near is the goal?"},
    "preferences": {"use": "preferences", "question": "Which is nearer?", "pairs": 300,
                    "weight": 0.3, "quantile": None},
    "preferences-bonus": {"use": "preferences", "question": "Which is nearer?", "pairs": 300,
                          "weight": 0.03, "shaping": "bonus", "count_power": 3},
}  # fmt: skip
"""One of each reward, for this grid."""
