from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dragoman.agents.evaluate import evaluate
from dragoman.agents.video import film, refuse_unfilmable
from dragoman.engines.train import train
from dragoman.errors import ConfigError
from dragoman.experiment import Algorithm, Experiment
from dragoman.run import Run
from tests.counting_env import Counting

SETTINGS = Algorithm("ppo", {"n_steps": 8, "batch_size": 16, "n_epochs": 1}, (8,))


class Drawn(Counting):
    """Draws itself in letters."""

    metadata = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(first=3)
        self.render_mode = render_mode


def trained(folder: Path, env: str, **settings: Any) -> Run:
    experiment = Experiment(
        env=env, steps=16, num_envs=2, observe=None, algorithm=SETTINGS, env_settings=settings
    )
    return train(experiment, out=folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run") / "run"
    return trained(folder, "FrozenLake-v1", desc=["SF", "HG"], is_slippery=False)


def test_a_gif_shows_the_first_evaluated_episode(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "films" / "one.gif"
    made = film(run, file)
    played = evaluate(run, 1).episodes[0]
    assert (made.steps, made.episode_return) == (played.length, played.episode_return)
    with Image.open(file) as picture:
        assert picture.size == (128, 128)
        # FrozenLake asks for four frames a second. Frames that are equal stand as one.
        total = 0
        for index in range(picture.n_frames):
            picture.seek(index)
            total += picture.info["duration"]
        assert total == 250 * made.steps + 1000
    assert [one.name for one in file.parent.iterdir()] == ["one.gif"]


def test_an_mp4_lasts_as_long_as_the_episode(run: Run, tmp_path: Path) -> None:
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="the extra 'video'")
    file = tmp_path / "one.mp4"
    made = film(run, file, max_steps=20)
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(file))
    assert frames == 1 + made.steps + 4
    assert seconds == pytest.approx(frames / 4, abs=0.3)


def test_a_film_that_fails_leaves_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **settings: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("dragoman.agents.video.Image.Image.save", fail)
    with pytest.raises(OSError, match="disk full"):
        film(run, tmp_path / "one.gif", max_steps=2)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_filmed_is_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"one\.avi names no kind of film") as error:
        refuse_unfilmable(run, tmp_path / "one.avi")
    assert ".gif or .mp4" in error.value.cure
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if "ffmpeg" in name else real(name)
    )
    with pytest.raises(ConfigError, match="needs FFmpeg") as error:
        refuse_unfilmable(run, tmp_path / "one.mp4")
    assert "dragoman[video]" in error.value.cure


@pytest.mark.parametrize(
    ("env", "why"),
    [
        ("tests.agents.test_video:Drawn", "renders text, but no pictures"),
        ("tests.counting_env:Counting", "renders no pictures"),
    ],
)
def test_an_environment_without_pictures_has_no_film(env: str, why: str, tmp_path: Path) -> None:
    run = trained(tmp_path / "run", env)
    with pytest.raises(ConfigError, match=why) as error:
        film(run, tmp_path / "one.gif")
    assert f"dragoman replay {run.path}" in error.value.cure
