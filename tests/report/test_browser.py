"""The pages as a reader sees them: in a browser, on a phone and on a desk, light and dark."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from PIL import Image
from selenium.webdriver.support.ui import WebDriverWait

from dragoman.agents.recording import Part, Step, Weighed
from dragoman.report.document import write_report
from dragoman.report.replay import replay_page
from dragoman.report.single import write_run_report
from dragoman.run import Run
from tests.recordings import recording
from tests.report.browser import DESK, PHONE, Browser, Keys

pytestmark = pytest.mark.browser

SCREENS = [(size, theme) for size in (DESK, PHONE) for theme in ("light", "dark")]


@pytest.fixture(scope="module")
def report(comparison: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(comparison, tmp_path_factory.mktemp("report") / "report.html").html


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("replay") / "replay.html"
    runs = [recording(episodes=2), recording("no-model/0", length=3)]
    file.write_text(replay_page(runs), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def single(comparison: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    returns = {"greedy": [0.5, 1.0], "random": [0.0, 0.1]}
    run = Run(comparison / "smollm2" / "0")
    return write_run_report(run, returns=returns, out=tmp_path_factory.mktemp("run") / "run.html")


@pytest.mark.parametrize("page", ["report", "replay", "single"])
@pytest.mark.parametrize(("size", "theme"), SCREENS, ids=lambda value: str(value))
def test_a_page_fits_the_screen_and_follows_the_theme(
    page: str, size: tuple[int, int], theme: str, request: pytest.FixtureRequest, chromium: Browser
) -> None:
    chromium.screen(size, theme)
    chromium.open(request.getfixturevalue(page))
    shot = chromium.shoot(f"{page}-{size[0]}-{theme}")
    with Image.open(shot) as image:
        assert image.size == size
        corner = image.convert("L").getpixel((2, 2))
    assert corner < 60 if theme == "dark" else corner > 200
    assert chromium.overflow() == 0
    assert chromium.complaints() == []


def test_the_theme_button_goes_round(report: Path, chromium: Browser) -> None:
    chromium.screen(DESK, "light")
    chromium.open(report)
    seen = []
    for _ in range(4):
        line = chromium.colour(".plot .wide path[style*='series-0']", "stroke")
        seen.append((chromium.text("#theme"), chromium.colour("body"), line))
        chromium.click("#theme")
    assert [text for text, _, _ in seen] == [
        "Theme: auto", "Theme: light", "Theme: dark", "Theme: auto",
    ]  # fmt: skip
    # The figures change with the page.
    assert seen[0][1:] == seen[1][1:] == seen[3][1:]
    assert seen[2][1] != seen[1][1]
    assert seen[2][2] != seen[1][2]
    assert chromium.complaints() == []


def test_the_report_says_the_verdict_first(report: Path, chromium: Browser) -> None:
    chromium.screen(PHONE, "light")
    chromium.open(report)
    assert chromium.text(".lede") == "Helped: smollm2; hurt: layer-8."
    assert chromium.texts(".outcome") == ["▲ helped", "▼ hurt"]
    top = "return document.querySelector(arguments[0]).getBoundingClientRect().top"
    assert chromium.driver.execute_script(top, ".plot") < 844 / 2
    chromium.click(".verdict summary")
    assert "no-model" in chromium.text(".verdict tbody")
    shown = (
        "return [...document.querySelectorAll('.plot > div')]"
        ".filter(e => e.offsetWidth).map(e => e.className)"
    )
    assert chromium.run(shown) == ["narrow"] * 3
    chromium.screen(DESK, "light")
    assert chromium.run(shown) == ["wide"] * 3
    assert chromium.complaints() == []


def test_the_report_prints_on_white_with_every_comparison(report: Path, chromium: Browser) -> None:
    chromium.open(report)
    chromium.screen(DESK, "dark")
    visible = "return document.querySelector('.verdict tbody').checkVisibility()"
    assert not chromium.run(visible)
    chromium.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert chromium.run(visible)
        assert chromium.colour("body") == "rgba(253, 253, 251, 1)"
        assert "Theme" not in chromium.text("body")
    finally:
        chromium.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def at(chromium: Browser) -> str:
    return chromium.text("#position")


def test_keys_step_through_the_replay(replay: Path, chromium: Browser) -> None:
    chromium.screen(DESK, "light")
    chromium.open(replay)
    assert at(chromium) == "step 0 of 6"
    chromium.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert at(chromium) == "step 2 of 6"
    assert chromium.text(".read") == "the cart is at 2 <metre>"
    assert chromium.text(".critiques") == "A good push."
    assert chromium.text(".value") == "8"
    assert chromium.text(".return") == "3"
    chromium.press(Keys.ARROW_LEFT)
    assert at(chromium) == "step 1 of 6"
    chromium.press(Keys.END)
    assert at(chromium) == "step 6 of 6"
    assert chromium.texts(".state") == ["terminated after 6 steps", "terminated after 3 steps"]
    assert chromium.text(".return") == "6"
    chromium.press(Keys.ARROW_RIGHT, Keys.HOME, Keys.ARROW_LEFT)
    assert at(chromium) == "step 0 of 6"
    chromium.press(" ")
    assert chromium.text("#play") == "Pause"
    chromium.press(" ")
    assert chromium.text("#play") == "Play"
    assert chromium.complaints() == []


def test_playing_reaches_the_end_and_stops(replay: Path, chromium: Browser) -> None:
    chromium.open(replay)
    chromium.click("#play")
    assert chromium.text("#play") == "Pause"
    WebDriverWait(chromium.driver, 20).until(lambda driver: chromium.text("#play") == "Play")
    assert at(chromium) == "step 6 of 6"


def test_the_scrubber_the_buttons_and_the_jump(replay: Path, chromium: Browser) -> None:
    chromium.screen(PHONE, "dark")
    chromium.open(replay)
    chromium.run(
        "const s = document.getElementById('scrubber'); s.value = 4;"
        "s.dispatchEvent(new Event('input'));"
    )
    assert at(chromium) == "step 4 of 6"
    for button, place in (("forward", 5), ("back", 4), ("last", 6), ("first", 0)):
        chromium.click(f"#{button}")
        assert at(chromium) == f"step {place} of 6"
    # The first term is the same everywhere, so its largest is the first.
    chromium.press(Keys.ARROW_RIGHT, "m")
    assert at(chromium) == "step 0 of 6"
    chromium.run(
        "const t = document.getElementById('term'); t.value = 'goal';"
        "t.dispatchEvent(new Event('change'));"
    )
    chromium.click("#largest")
    assert at(chromium) == "step 3 of 6"
    assert chromium.texts(".rewards tbody tr")[1].split() == ["goal", "-5", "-3.500"]
    chromium.shoot("replay-jump")
    assert chromium.complaints() == []


def test_runs_stand_side_by_side_with_their_pictures_and_bars(
    replay: Path, chromium: Browser
) -> None:
    chromium.screen(DESK, "light")
    chromium.open(replay)
    assert chromium.texts(".run h2") == ["smollm2/0", "no-model/0"]
    tops = chromium.run(
        "return [...document.querySelectorAll('.run')].map(e => e.getBoundingClientRect().top)"
    )
    assert tops[0] == tops[1]
    loaded = "return [...document.querySelectorAll('.stage img')].map(i => i.naturalWidth)"
    assert chromium.run(loaded) == [60, 60]
    assert chromium.texts(".run:first-child .options .number") == ["25.0 %", "75.0 %"]
    widths = chromium.run(
        "return [...document.querySelectorAll('.run:first-child .bar')]"
        ".map(b => b.offsetWidth / b.parentElement.offsetWidth)"
    )
    assert widths == pytest.approx([0.25, 0.75], abs=0.01)
    chromium.run(
        "const e = document.getElementById('episode'); e.value = 1;"
        "e.dispatchEvent(new Event('change'));"
    )
    assert at(chromium) == "step 0 of 7"
    assert "environment seed 101" in chromium.text(".run:first-child .about")
    assert chromium.complaints() == []


@pytest.mark.parametrize("size", [DESK, PHONE], ids=str)
def test_picture_and_actions_are_seen_without_scrolling(
    size: tuple[int, int], replay: Path, chromium: Browser
) -> None:
    chromium.screen(size, "light")
    chromium.open(replay)
    bottom = "return document.querySelector(arguments[0]).getBoundingClientRect().bottom"
    top = "return document.querySelector('.controls').getBoundingClientRect().top"
    for element in (".stage img", ".options li:last-child", ".figures"):
        assert chromium.driver.execute_script(bottom, element) < chromium.run(top)
    # The text of an option lies above its bar.
    assert (
        chromium.run(
            "const box = document.querySelector('.options .text').getBoundingClientRect();"
            "return document.elementFromPoint(box.left + 4, box.top + 8).className"
        )
        == "text"
    )


def test_each_card_says_what_its_run_is_and_how_it_ended(tmp_path: Path, chromium: Browser) -> None:
    file = tmp_path / "kinds.html"
    runs = [replace(recording(), kind="arm"), replace(recording(length=3), kind="baseline")]
    file.write_text(replay_page(runs), encoding="utf-8")
    chromium.open(file)
    assert chromium.texts(".run .kind") == ["arm", "baseline"]
    assert chromium.texts(".outcome") == [
        "Return 6 in 6 steps, terminated", "Return 3 in 3 steps, terminated",
    ]  # fmt: skip
    chromium.click(".numbers summary")
    assert chromium.texts(".run:first-child .observation tbody tr") == ["cart position 0"]
    chromium.press(Keys.ARROW_RIGHT)
    assert chromium.texts(".run:first-child .observation tbody tr") == ["cart position 1"]
    # The value falls by one a step from ten; each reward is a bar; the cursor stands at the step.
    lines = (
        "return [...document.querySelectorAll('#strip .value-line')].map(p => p.getAttribute('d'))"
    )
    first, second = chromium.run(lines)
    assert first == "M0 2L1 5.6L2 9.2L3 12.8L4 16.4L5 20"
    assert second == "M0 2L1 5.6L2 9.2"
    bars = "return document.querySelector('#strip .reward-bars').getAttribute('d')"
    assert chromium.run(bars).count("v-8") == 6
    assert chromium.run("return document.querySelector('#cursor').getAttribute('d')") == "M1 0V40"
    assert chromium.complaints() == []


def test_text_frames_and_continuous_actions(tmp_path: Path, chromium: Browser) -> None:
    played = recording().episodes[0]
    moved = Step(
        "  \x1b[41mS\x1b[0mFFF\n<hole>",
        (("", "[0]"), ("speed", "0.5")),
        None,
        weighed=(Weighed((), 0.5, mean=0.0, spread=1.0),),
        value=float("nan"),
        terms={"environment": 0.0},
    )
    one = replace(
        recording(),
        parts=(Part(low=-2.0, high=2.0),),
        note="No pictures: a note.",
        episodes=(replace(played, steps=(moved, Step(None, (), None))),),
    )
    file = tmp_path / "text.html"
    file.write_text(replay_page([one]), encoding="utf-8")
    chromium.open(file)
    assert "<hole>" in chromium.text(".stage pre")
    assert chromium.text(".reads").casefold() == "the observation"
    assert chromium.text(".read") == "[0]"
    assert chromium.texts(".observation tbody tr") == ["speed 0.5"]
    assert chromium.text(".value") == "–"
    assert chromium.text(".note") == "No pictures: a note."
    assert chromium.text(".options .number") == "0 ± 1 in -2 to 2"
    place = chromium.run("return document.querySelector('.bar').style.cssText")
    assert place == "left: 25%; right: 25%;"
    chromium.press(Keys.END)
    assert not chromium.driver.find_element("css selector", ".stage").is_displayed()
    assert chromium.complaints() == []


def test_links_to_replays_lead_there(tmp_path: Path, chromium: Browser, comparison: Path) -> None:
    replay = comparison / "smollm2" / "0" / "replay-0.html"
    replay.write_text(replay_page([recording()]), encoding="utf-8")
    try:
        report = write_report(comparison, tmp_path / "report.html").html
        chromium.open(report)
        chromium.click("[aria-labelledby=replays] a")
        assert Path(unquote(urlparse(chromium.driver.current_url).path)) == replay.resolve()
        assert chromium.text("h1") == "CartPole-v1"
    finally:
        replay.unlink()
