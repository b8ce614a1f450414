from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from PIL import Image

from dragoman.agents.sample import STEPS, take_sample
from dragoman.experiment import Describe, Experiment
from tests.counting_env import Counting


class Short(Counting):
    """Ends before the sample is reached, and draws itself in letters."""

    metadata = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(first=STEPS - 1)
        self.render_mode = render_mode

    def render(self) -> str:
        return f"count {self.count}"


class Broken(Short):
    """Cannot draw itself."""

    def render(self) -> Any:
        raise OSError("no display")


def test_a_sample_shows_picture_text_and_actions() -> None:
    experiment = Experiment(env="CartPole-v1", describe=Describe(goal="stay upright"))
    sample = take_sample(experiment)
    assert sample["steps"] == STEPS
    assert sample["text"].startswith("Goal: stay upright\nObservation: cart position")
    assert sample["actions"] == ["push cart to the left", "push cart to the right"]
    with Image.open(io.BytesIO(base64.b64decode(sample["picture"]))) as picture:
        assert picture.size == (480, 320)
    assert sample == take_sample(experiment)


@pytest.mark.parametrize("name", ["Short", "Broken"])
def test_a_short_episode_shows_its_first_state(name: str) -> None:
    sample = take_sample(Experiment(env=f"tests.agents.test_sample:{name}"))
    assert sample["steps"] == 0
    assert sample["picture"] is None
    assert sample["drawing"] == ("count 0" if name == "Short" else None)
    assert ("no display" in sample["note"]) == (name == "Broken")
    assert sample["text"]
