from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace

import pytest

from dragoman.agents.recording import Recording, Step
from dragoman.errors import ConfigError
from dragoman.report.replay import replay_page
from tests.recordings import recording


def data_of(page: str) -> list[dict]:
    result = re.search(
        r'<script type="application/json" id="recordings">(.*?)</script>', page, re.S
    )
    assert result is not None
    return json.loads(result.group(1))


def with_steps(one: Recording, *steps: Step) -> Recording:
    return replace(one, episodes=(replace(one.episodes[0], steps=steps),))


def test_the_page_needs_nothing_else() -> None:
    page = replay_page([recording()])
    assert not re.search(r"https?://|<link rel=\"stylesheet|<script src", page)
    assert "CartPole-v1" in page


def test_what_was_recorded_is_in_the_page() -> None:
    (one,) = data_of(replay_page([recording(length=4)]))
    steps = one["episodes"][0]["steps"]
    assert [step["text"] for step in steps][:2] == [
        "the cart is at 0 <metre>",
        "the cart is at 1 <metre>",
    ]
    assert steps[3]["terms"] == {"environment": 1.0, "goal": -5.0}
    assert steps[0]["weighed"][0]["weights"] == [0.25, 0.75]
    assert steps[2]["critiques"] == ["A good push."]
    assert one["parts"][0]["options"] == ["push left", "push right"]


def test_equal_frames_are_embedded_once() -> None:
    one = recording(length=4)
    still = tuple(
        replace(step, frame=one.episodes[0].steps[0].frame) for step in one.episodes[0].steps
    )
    (data,) = data_of(
        replay_page([replace(one, episodes=(replace(one.episodes[0], steps=still),))])
    )
    assert len(data["frames"]) == 1
    assert {step["frame"] for step in data["episodes"][0]["steps"]} == {0}


def test_a_text_cannot_end_the_script() -> None:
    one = recording(length=1)
    step = replace(one.episodes[0].steps[0], text="</script><script>alert(1)</script>")
    evil = replace(with_steps(one, step), name="<b>bold</b>", env="<i>E</i>")
    page = replay_page([evil])
    assert "<script>alert" not in page
    assert "<i>E" not in page
    assert data_of(page)[0]["episodes"][0]["steps"][0]["text"].startswith("</script>")


def test_colours_of_the_terminal_are_kept_and_the_rest_is_escaped() -> None:
    one = recording(length=1)
    steps = (replace(one.episodes[0].steps[0], frame="\x1b[41mS\x1b[0mF <b>"),)
    (data,) = data_of(
        replay_page([replace(one, episodes=(replace(one.episodes[0], steps=steps),))])
    )
    assert re.search(r'<span style="[^"]*background-color[^"]*">S</span>', data["frames"][0])
    assert "&lt;b&gt;" in data["frames"][0]


LINK = "\x1b]8;;javascript:alert(1)\x1b\\\x1b[31mclick\x1b[0m\x1b]8;;\x1b\\"


def test_links_of_the_terminal_stay_out_of_the_page() -> None:
    one = recording(length=1)
    steps = (replace(one.episodes[0].steps[0], frame=LINK),)
    page = replay_page([replace(one, episodes=(replace(one.episodes[0], steps=steps),))])
    assert "javascript:" not in page
    assert "<a " not in data_of(page)[0]["frames"][0]
    assert re.search(
        r'<span style="color: #d03b3b[^"]*">click</span>', data_of(page)[0]["frames"][0]
    )


def test_the_page_runs_its_own_script_and_no_other() -> None:
    page = replay_page([recording()])
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page).group(1)
    assert f"script-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none'; ")


def test_no_recording_is_refused() -> None:
    with pytest.raises(ConfigError, match="no recording"):
        replay_page([])
