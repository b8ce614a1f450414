"""Films of an agent at play: GIF by Pillow, MP4 by FFmpeg."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dragoman.agents.agent import Agent
from dragoman.agents.evaluate import episode_seeds
from dragoman.engines.assembly import spec_of
from dragoman.environments import make_environment, render_without_display
from dragoman.errors import ConfigError
from dragoman.run import Run
from dragoman.types import LanguageModel

SUFFIXES = (".gif", ".mp4")
MOST_STEPS = 1000
"""Most steps of a film; longer episodes are cut there."""

FRAMES_PER_SECOND = 30
"""Where the environment does not say how fast it should be shown."""

LAST_SECONDS = 1.0
"""How long the last frame stands, so that the end can be seen."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Film:
    """A film that was written.

    Attributes:
        file: Where it is.
        steps: Steps that it shows.
        episode_return: What the agent earned in them.
    """

    file: Path
    steps: int
    episode_return: float


def refuse_unfilmable(run: Run, file: Path, env_settings: Mapping[str, Any] | None = None) -> None:
    """Refuse what cannot become a film, before anything is played.

    Args:
        run: The run.
        file: The film to write.
        env_settings: What of the environment's settings differs from the training's.

    Raises:
        ConfigError: The file is neither GIF nor MP4, nothing can write it, or the environment
            renders no pictures.
    """
    if file.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{file} names no kind of film", cure="let it end in .gif or .mp4")
    if file.suffix.lower() == ".mp4" and importlib.util.find_spec("imageio_ffmpeg") is None:
        raise ConfigError(
            "an MP4 needs FFmpeg, which is not installed",
            cure="pip install 'dragoman[video]', or write a .gif",
        )
    env = make_environment(
        spec_of(run.experiment), {**run.experiment.env_settings, **(env_settings or {})}
    )
    modes = env.metadata.get("render_modes") or ()
    env.close()
    if "rgb_array" not in modes:
        what = "renders text, but no pictures" if "ansi" in modes else "renders no pictures"
        raise ConfigError(
            f"{run.experiment.env} {what}, so there is nothing to film",
            cure=f"step through its episodes with: dragoman replay {run.path}",
        )


def film(
    run: Run,
    file: Path,
    *,
    seed: int = 0,
    sampled: bool = False,
    env_settings: Mapping[str, Any] | None = None,
    max_steps: int | None = None,
    model: LanguageModel | None = None,
    trust_code: bool = False,
) -> Film:
    """Film the first of the episodes that `dragoman.evaluate` plays with the same seed.

    Args:
        run: The run.
        file: The film, ``.gif`` or ``.mp4``.
        seed: Names the set of episode seeds.
        sampled: Draw actions from the policy instead of taking the likeliest.
        env_settings: What of the environment's settings differs from the training's.
        max_steps: Most steps to show; 1000 unless given.
        model: Language model to use instead of loading the experiment's.
        trust_code: Run the code that the run's config names.

    Raises:
        ConfigError: See `refuse_unfilmable`; or the run's config names code that is not trusted.
    """
    refuse_unfilmable(run, file, env_settings)
    agent = Agent(run, sampled=sampled, seed=seed, model=model, trust_code=trust_code)
    render_without_display()
    settings = {**run.experiment.env_settings, **(env_settings or {}), "render_mode": "rgb_array"}
    env = make_environment(agent.spec, settings)
    earned: list[float] = []

    def frames() -> Iterator[Pixels]:
        (number,) = episode_seeds(1, seed)
        observation, info = env.reset(seed=number)
        yield _picture(env.render())
        ended = False
        while not ended and len(earned) < (max_steps or MOST_STEPS):
            (action,) = agent.act([observation], [info])
            observation, reward, terminated, truncated, info = env.step(action)
            earned.append(float(reward))
            ended = bool(terminated or truncated)
            yield _picture(env.render())

    rate = float(env.metadata.get("render_fps") or FRAMES_PER_SECOND)
    file.parent.mkdir(parents=True, exist_ok=True)
    # Whole or not at all; the suffix says what FFmpeg should write.
    part = file.with_name(f".{file.stem}.part{file.suffix.lower()}")
    try:
        (_write_gif if part.suffix == ".gif" else _write_mp4)(part, frames(), rate)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
        env.close()
    return Film(file, len(earned), sum(earned))


def _picture(rendered: Any) -> Pixels:
    pixels = np.ascontiguousarray(rendered, dtype=np.uint8)
    # Video has one colour for each two by two pixels.
    return np.ascontiguousarray(pixels[: pixels.shape[0] // 2 * 2, : pixels.shape[1] // 2 * 2])


def _write_gif(file: Path, frames: Iterable[Pixels], rate: float) -> None:
    first, *others = (Image.fromarray(frame).quantize() for frame in frames)
    durations = [1000 / rate] * len(others) + [1000 * LAST_SECONDS]
    first.save(file, save_all=True, append_images=others, duration=durations, loop=0)


def _write_mp4(file: Path, frames: Iterable[Pixels], rate: float) -> None:
    import imageio_ffmpeg

    stream = iter(frames)
    first = last = next(stream)
    size = first.shape[1], first.shape[0]
    writer = imageio_ffmpeg.write_frames(str(file), size, fps=rate, macro_block_size=1)
    writer.send(None)
    for last in chain([first], stream):
        writer.send(last)
    for frame in repeat(last, round(rate * LAST_SECONDS)):
        writer.send(frame)
    writer.close()
