"""A role of your own: a bonus for texts that the training has rarely reached."""

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from dragoman.describe.vector import now_and_reached
from dragoman.environments.vector import autoreset_mode
from dragoman.roles.control import Control
from dragoman.roles.role import RoleVector


@dataclass(frozen=True)
class Novelty:
    """Adds weight / sqrt(visits) for the text of each state that is reached."""

    weight: float = 0.1
    counts: Literal["texts", "one"] = "texts"

    prior: ClassVar[str] = "the describer's wording, as names of states"
    uses_model: ClassVar[bool] = False
    controls: ClassVar[tuple[Control, ...]] = (
        Control(
            name="any-state",
            about="the same bonus, which falls by steps and knows no states",
            prior="none: the environment's own observations",
            overrides={".counts": "one"},
        ),
    )

    def wrap(self, env, context):
        return NoveltyVector(env, self)


class NoveltyVector(RoleVector):
    def __init__(self, env, settings):
        super().__init__(env)
        self.settings, self.visits = settings, Counter()

    def step(self, actions):
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        mode = autoreset_mode(self.env)
        _, reached = now_and_reached(infos, terminated | truncated, mode)
        is_text = self.settings.counts == "texts"
        names = [moment.state if is_text else "" for moment in reached]
        self.visits.update(names)
        bonus = [self.settings.weight / self.visits[name] ** 0.5 for name in names]
        return observations, rewards + np.array(bonus), terminated, truncated, infos

    def metrics(self):
        return {"states": len(self.visits)}
