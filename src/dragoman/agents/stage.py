"""An environment that shows itself, as a picture or as text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec

from dragoman.agents.frames import encode_frame
from dragoman.agents.recording import Frame
from dragoman.describe.environment import observation_features
from dragoman.environments import make_environment, render_without_display
from dragoman.experiment import Experiment

RENDER_MODES = ("rgb_array", "ansi")
"""In this order: pictures, then text."""


@dataclass
class Stage:
    """An environment and its renderer; a renderer that fails is left alone from then on."""

    env: gym.Env[Any, Any]
    note: str

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What the environment's documentation calls the numbers of an observation, if it does."""
        return tuple(feature.name for feature in observation_features(self.env) or ())

    def frame(self) -> Frame:
        """Return the state as rendered, or nothing where it cannot be."""
        if self.note:
            return None
        try:
            rendered: Any = self.env.render()
        # Renderers need windows, drivers and packages, and fail in ways of their own. Without
        # pictures the replay is still worth reading, so the reason goes on the page.
        except Exception as error:
            self.note = f"No pictures: rendering failed with {type(error).__name__}: {error}"
            return None
        if isinstance(rendered, str):
            return rendered
        return encode_frame(np.asarray(rendered, dtype=np.uint8))


@contextmanager
def rendered(spec: EnvSpec, experiment: Experiment) -> Iterator[Stage]:
    """Make an experiment's environment with pictures, or with text where it has none."""
    plain = make_environment(spec, experiment.env_settings)
    offered = plain.metadata.get("render_modes") or ()
    mode = next((mode for mode in RENDER_MODES if mode in offered), None)
    if mode is None:
        stage = Stage(plain, f"No pictures: {spec.id} renders neither pictures nor text.")
    else:
        plain.close()
        if mode == "rgb_array":
            render_without_display()
        settings = {**experiment.env_settings, "render_mode": mode}
        stage = Stage(make_environment(spec, settings), "")
    try:
        yield stage
    finally:
        stage.env.close()
