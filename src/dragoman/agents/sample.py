"""A sample of what an experiment's model reads: a state, its picture, its text and its actions.

``steps`` random steps were taken to it; ``text`` is what a policy's model reads, of which
``actions`` are those that are valid now; ``picture`` is WebP in base64, ``drawing`` what an
environment draws in letters, and ``note`` says why something is missing.
"""

from __future__ import annotations

import base64
from typing import Any

from dragoman.agents.stage import Stage, rendered
from dragoman.describe.moment import Moment, moment_of
from dragoman.describe.rollout import random_actions
from dragoman.engines.assembly import moments_of, spec_of
from dragoman.errors import DragomanError
from dragoman.experiment import Experiment
from dragoman.maths.seeds import derive_seed

STEPS = 3
"""Random steps before the sample: many first states say little."""


def take_sample(experiment: Experiment) -> dict[str, Any]:
    """Play a few random steps and return what there is to see and to read, as plain data.

    No model is loaded.
    """
    with rendered(spec_of(experiment), experiment) as stage:
        moments = moments_of(experiment, stage.env)
        seed = derive_seed("sample")
        act = random_actions(stage.env.action_space, seed=seed)
        observation, info = stage.env.reset(seed=seed)
        steps = 0
        while steps < STEPS:
            observation, _, ended, cut, info = stage.env.step(act([observation], [info])[0])
            steps += 1
            if ended or cut:
                observation, info = stage.env.reset(seed=seed)
                steps = 0
                break
        return {"steps": steps, **_seen(stage, moment_of(observation, info, moments))}


def _seen(stage: Stage, moment: Moment) -> dict[str, Any]:
    frame = stage.frame()
    picture = base64.b64encode(frame).decode("ascii") if isinstance(frame, bytes) else None
    seen = {"picture": picture, "drawing": frame if isinstance(frame, str) else None}
    try:
        actions = list(moment.choices)
        return {**seen, "text": moment.text, "actions": actions, "note": stage.note}
    # The arms that read texts say so themselves.
    except DragomanError as error:
        note = f"{stage.note} No text: {error.problem}".strip()
        return {**seen, "text": None, "actions": [], "note": note}
