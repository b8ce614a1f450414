"""The replay: a page to step through recorded episodes, several runs side by side."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from markupsafe import Markup

from dragoman.agents.recording import Frame, Recording, Step
from dragoman.errors import ConfigError
from dragoman.phrases import counted
from dragoman.report.pages import coloured, render


def replay_page(recordings: Sequence[Recording]) -> str:
    """Return one HTML page that needs no other file and no network.

    Args:
        recordings: Runs to show side by side, played on the same seeds.

    Raises:
        ConfigError: There is none.
    """
    if not recordings:
        raise ConfigError("there is no recording to show", cure="name at least one run")
    envs = list(dict.fromkeys(recording.env for recording in recordings))
    episodes = max(len(recording.episodes) for recording in recordings)
    runs = (
        "one run"
        if len(recordings) == 1
        else f"{len(recordings)} runs side by side on the same seeds"
    )
    return render(
        "replay.html",
        title=f"{', '.join(envs)}: replay",
        env=", ".join(envs),
        summary=f"{runs}, {counted(episodes, 'evaluation episode')}",
        recordings=_json([_plain(recording) for recording in recordings]),
    )


def _plain(recording: Recording) -> dict[str, Any]:
    frames: dict[Frame, int] = {}
    return {
        "name": recording.name,
        "kind": recording.kind,
        "about": " · ".join(recording.about.values()),
        "note": recording.note,
        "parts": [asdict(part) for part in recording.parts],
        "weighing": recording.weighing,
        "episodes": [
            {
                "seed": episode.seed,
                "ending": episode.ending,
                "steps": [_plain_step(step, frames) for step in episode.steps],
            }
            for episode in recording.episodes
        ],
        # Filled by the steps, which therefore come first.
        "frames": [_embedded(frame) for frame in frames],
    }


def _plain_step(step: Step, frames: dict[Frame, int]) -> dict[str, Any]:
    """Return plain data; a frame becomes its place in the table of distinct ones."""
    plain = {name: value for name, value in vars(step).items() if name != "weighed"}
    plain["weighed"] = [vars(weighed) for weighed in step.weighed]
    plain["frame"] = None if step.frame is None else frames.setdefault(step.frame, len(frames))
    rounded: dict[str, Any] = _rounded(plain)
    return rounded


def _rounded(value: Any) -> Any:
    """Return the data with six digits a number, which is more than a page shows.

    JSON knows neither NaN nor infinity: they become null, which the page shows as a dash.
    """
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value


def _embedded(frame: Frame) -> str:
    if isinstance(frame, bytes):
        return "data:image/webp;base64," + base64.b64encode(frame).decode("ascii")
    return coloured(frame or "")


def _json(data: Any) -> Markup:
    """Return JSON that cannot end the script element it stands in."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))
