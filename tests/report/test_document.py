from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from dragoman.comparison.comparison import Comparison
from dragoman.comparison.file import read_comparison
from dragoman.comparison.results import results_of
from dragoman.errors import RunError
from dragoman.report.contents import headline
from dragoman.report.document import write_report
from dragoman.report.drawing import wrapped
from dragoman.report.pages import breakable
from tests.known_comparisons import ARMS, FINALS, write_comparison


@pytest.fixture(scope="module")
def page(comparison: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(comparison, tmp_path_factory.mktemp("out") / "sub" / "frozen.html").html


def rows(html: str, heading: str) -> list[list[str]]:
    """Return the cells of the table in the section of that heading, as text."""
    section = re.search(rf'<h2 id="{heading}">.*?</section>', html, re.S)
    assert section is not None
    result = re.findall(r"<tr>(.*?)</tr>", section.group(0), re.S)
    strip = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in result]
    return [[re.sub(r"<[^>]*>", "", cell).strip() for cell in row] for row in strip]


def outcomes(folder: Path) -> dict[str, str]:
    arms = results_of(Comparison.open(folder))["arms"]
    return {name: arm["verdict"]["outcome"] for name, arm in arms.items() if arm["verdict"]}


def test_everything_lies_beside_the_page(page: Path) -> None:
    names = {file.name for file in page.parent.iterdir()}
    pictures = {f"frozen-{name}.png" for name in ("difference", "curves", "intervals")}
    assert names == {"frozen.html", "frozen.md", "frozen.csv", *pictures}
    for name in pictures:
        with Image.open(page.parent / name) as image:
            assert image.width == 1800
    text = (page.parent / "frozen.md").read_text()
    assert "](frozen-curves.png)" in text


def test_the_page_needs_nothing_else(page: Path) -> None:
    html = page.read_text()
    assert not re.search(r"https?://|<link rel=\"stylesheet|<script src|@import|url\((?!#)", html)
    assert len(html) < 500_000


def test_ids_are_unique_and_references_lead_somewhere(page: Path) -> None:
    html = page.read_text()
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', html))
    for pair in re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', html):
        assert (pair[0] or pair[1]) in ids


def test_figures_take_their_colours_from_the_page(page: Path) -> None:
    html = page.read_text()
    figures = re.findall(r"<svg aria-hidden.*?</svg>", html, re.S)
    assert len(figures) == 6
    for figure in figures:
        assert "var(--series-0)" in figure
        assert "var(--ink)" in figure
        # Whatever colour a figure named would be lost on one of the two themes.
        assert set(re.findall(r"#[0-9a-f]{6}\b", figure)) == set()


def test_verdicts_stand_first_with_their_reasons(page: Path, comparison: Path) -> None:
    html = page.read_text()
    assert list(outcomes(comparison).values()) == ["helped", "hurt"]
    places = ["Helped: smollm2; hurt: layer-8.", "The difference that decides", "helped</p>"]
    places += ["What it cost"]
    assert sorted(places, key=html.index) == places
    said = (
        "The arm &#39;smollm2&#39; helped: it scored 0.501 more than the same training without the"
    )
    assert said in html
    assert "Better than &#39;no-model&#39; and than each of its 2 controls" in html
    markdown = page.with_suffix(".md").read_text()
    assert "## smollm2: helped" in markdown
    assert "Better than 'no-model'" in markdown


def test_tables_hold_the_runs_numbers(page: Path) -> None:
    html = page.read_text()
    cost = {row[0]: row[1:] for row in rows(html, "cost")}
    texts = ["4,016", "4,000 (99.6%)", "32"]
    assert cost["smollm2"] == ["4,000", "61.5", "2.25", *texts, "240", "51.5"]
    assert cost["no-model"] == ["4,000", "61.5", *["–"] * 6]
    # 16 texts were computed and 32 read from disk, so all cost three times as much.
    assert "<strong>smollm2</strong>: 720 tokens, 154 GFLOP, 6.75 s in the model." in html
    scores = {row[0].split()[0]: row for row in rows(html, "scores")}
    assert float(scores["smollm2"][2]) == pytest.approx(FINALS["smollm2"], abs=0.05)
    assert scores["random"][2] == "0.05"
    assert scores["best"][2] == "1"
    given = {row[0].split()[0]: row[1:] for row in rows(html, "prior")}
    assert given["random-weights"] == [
        ARMS["random-weights"]["about"],
        ARMS["random-weights"]["prior"],
    ]
    differences = rows(html, "differences")
    assert ["layer-8", "observe.layer", "8", "4"] in differences
    assert [row[:3] for row in differences if row[0] == "no-model"] == [
        ["no-model", "observe", "none"]
    ]
    assert "smollm2" not in {row[0] for row in differences}


def test_steps_to_the_threshold_stand_beside_each_other(page: Path, tmp_path: Path) -> None:
    speed = {row[0].split()[0]: row[1:] for row in rows(page.read_text(), "speed")}
    assert speed["smollm2"][0] == "10 of 10"
    assert 2000 <= float(speed["smollm2"][1].replace(",", "")) < 4000
    assert speed["no-model"][:3] == ["0 of 10", "never", "4,000"]
    markdown = page.with_suffix(".md").read_text()
    assert "## Steps to 0.7" in markdown
    assert re.search(
        r"- smollm2 took [\d,]+ \[[\d,]+, [\d,]+\] fewer steps than no-model", markdown
    )
    without = write_comparison(tmp_path / "comparison", seeds=range(2))
    plan = (without / "comparison.yaml").read_text()
    (without / "comparison.yaml").write_text(plan.replace("threshold: 0.7", "threshold: null"))
    assert 'id="speed"' not in write_report(without).html.read_text()


def test_replays_are_linked_from_where_the_page_lies(tmp_path: Path) -> None:
    folder = write_comparison(tmp_path / "comparison", seeds=[0], arms=["smollm2", "no-model"])
    (folder / "smollm2" / "0" / "replay-0.html").write_text("a replay")
    inside = write_report(folder).html
    assert 'href="smollm2/0/replay-0.html"' in inside.read_text()
    outside = write_report(folder, tmp_path / "pages" / "report.html").html
    assert 'href="../comparison/smollm2/0/replay-0.html"' in outside.read_text()


def test_missing_and_failed_seeds_are_named(tmp_path: Path) -> None:
    folder = write_comparison(tmp_path / "comparison", seeds=range(6))
    shutil.rmtree(folder / "smollm2" / "4")
    shutil.rmtree(folder / "layer-8" / "5")
    (folder / "layer-8" / "5").mkdir()
    (folder / "layer-8" / "5" / "error.txt").write_text("Traceback\nValueError: broken <arm>\n")
    (folder / "no-model" / "3" / "evaluation.json").unlink()
    (folder / "no-model" / "2" / "episodes.jsonl").write_text("")
    file = folder / "no-model" / "1" / "evaluation.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "stopped": 3}))
    html = write_report(folder).html.read_text()
    assert "<strong>smollm2</strong>, seed 4: missing" in html
    assert "<strong>layer-8</strong>, seed 5: failed: ValueError: broken &lt;arm&gt;" in html
    assert "<strong>no-model</strong>, seed 3: unevaluated" in html
    assert "<strong>no-model</strong>, seed 2: no episode of the training has ended" in html
    assert "seed 1: 3 of 20 evaluated episodes had not ended after 9 steps" in html
    assert html.count("<strong>no-model</strong>, seed") == 3
    assert ">5 of 6<" in html


def test_nothing_to_compare_is_no_verdict(tmp_path: Path) -> None:
    folder = write_comparison(tmp_path / "comparison", seeds=range(2))
    shutil.rmtree(folder / "learned-embedding")
    (folder / "random.json").unlink()
    html = write_report(folder).html.read_text()
    assert "Not finished: 8 of 10 runs have ended." in html
    assert "No verdict yet: smollm2 and layer-8." in html
    assert "No seed of [&#39;learned-embedding&#39;] and &#39;smollm2&#39; has finished." in html
    assert "random policy" not in rows(html, "scores")[-1][0]
    assert "Every comparison of" not in html
    assert 'id="difference"' not in html


def test_an_unfinished_comparison_says_what_is_so_far(tmp_path: Path) -> None:
    arms = ["smollm2", "no-model", "random-weights"]
    folder = write_comparison(tmp_path / "comparison", seeds=range(9), arms=arms)
    for seed in (7, 8):
        shutil.rmtree(folder / "no-model" / str(seed))
    page = write_report(folder)
    html = page.html.read_text()
    so_far = "25 of 27 runs have ended.</strong> The arm &#39;smollm2&#39; helped: it scored"
    assert f"Not finished: {so_far}" in html
    assert "helped so far</p>" in html
    done = {row[0]: row[1:] for row in rows(html, "progress")}
    assert done["no-model"] == ["7", "–", "–", "2", "–", "–", "–"]
    assert "**Not finished: 25 of 27 runs have ended.**" in page.markdown.read_text()
    # A process that was killed leaves a run behind that says it is running.
    run = folder / "no-model" / "7"
    shutil.copytree(folder / "no-model" / "6", run)
    about = {"status": "running", "steps": 8, "heartbeat": "2020-01-01T00:00:00+00:00"}
    (run / "status.json").write_text(json.dumps(about))
    died = {row[0]: row[1:] for row in rows(write_report(folder).html.read_text(), "progress")}
    assert died["no-model"] == ["7", "–", "–", "1", "–", "1", "–"]
    shutil.rmtree(run)
    # One that failed is not waited for.
    for seed in (7, 8):
        (folder / "no-model" / str(seed)).mkdir()
        (folder / "no-model" / str(seed) / "error.txt").write_text("ValueError: no\n")
    html = write_report(folder).html.read_text()
    assert "Not finished" not in html
    assert "so far" not in html


def test_before_anything_has_run_there_is_a_page(tmp_path: Path) -> None:
    arms = ["smollm2", "no-model"]
    folder = write_comparison(tmp_path / "comparison", seeds=range(2), arms=arms)
    for arm in arms:
        shutil.rmtree(folder / arm)
    (folder / "random.json").unlink()
    page = write_report(folder)
    assert "Not finished: 0 of 4 runs have ended." in page.html.read_text()
    assert page.figures == {}
    assert page.csv.read_text().count("missing") == 4


def test_few_seeds_are_no_evidence(tmp_path: Path) -> None:
    folder = write_comparison(tmp_path / "comparison", seeds=range(2))
    assert set(outcomes(folder).values()) == {"no evidence"}
    assert "Too few seeds" in write_report(folder).html.read_text()


def test_sampled_scores_stand_beside_the_greedy_ones(page: Path) -> None:
    scores = rows(page.read_text(), "scores")
    head = scores[0]
    for row in scores[1:6]:
        mean, sampled = (float(row[head.index(name)]) for name in ("mean", "mean, sampled"))
        assert sampled == pytest.approx(mean / 2, abs=0.005)


def test_what_became_of_masks_is_told(tmp_path: Path) -> None:
    folder = write_comparison(tmp_path / "comparison", seeds=range(1), arms=["smollm2", "no-model"])
    for arm, masks in (("smollm2", "obeyed"), ("no-model", "ignored")):
        file = folder / arm / "0" / "env.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "masks": masks}))
    html = write_report(folder).html
    given = {row[0].split()[0]: row[2] for row in rows(html.read_text(), "prior")}
    assert given["smollm2"].endswith("; which actions are valid")
    assert "not which actions are valid" in given["no-model"]
    assert "its algorithm cannot keep to them" in html.with_suffix(".md").read_text()


def test_the_headline_names_every_outcome() -> None:
    outcomes = {"a": "no evidence", "b": "helped", "c": "hurt", "d": "no evidence", "e": "hurt"}
    arms = [{"name": k, "verdict": {"outcome": v, "mean": 0}} for k, v in outcomes.items()]
    arms.append({"name": "f", "verdict": None})
    assert headline(arms) == ("Helped: b; hurt: c and e; no evidence that it helps: a and d.")
    assert headline(arms[:1] + arms[3:4]) == ("No evidence that it helps: a and d.")


def test_every_run_can_be_downloaded(page: Path) -> None:
    written = list(csv.DictReader(page.with_suffix(".csv").read_text().splitlines()))
    assert len(written) == 50
    first = written[0]
    assert (first["arm"], first["kind"], first["seed"]) == ("smollm2", "arm", "0")
    assert float(first["score_sampled"]) == pytest.approx(float(first["score"]) / 2)
    assert float(first["tokens"]) == 240
    link = re.search(
        r'download="frozenlake-runs.csv" href="data:text/csv;[^,]*,([^"]*)"', page.read_text()
    )
    assert unquote(link.group(1)) == page.with_suffix(".csv").read_text()


def test_the_page_says_how_to_run_it_again(page: Path, comparison: Path, tmp_path: Path) -> None:
    html = page.read_text()
    assert "dragoman compare comparison.yaml --out frozenlake-again" in html
    link = re.search(r'download="comparison.yaml" href="data:[^,]*,([^"]*)"', html)
    again = tmp_path / "comparison.yaml"
    again.write_text(unquote(link.group(1)))
    assert read_comparison(again) == Comparison.open(comparison).comparison
    assert re.search(r"Dragoman report · 20\d\d-\d\d-\d\d", html)


def test_what_the_model_reads_is_shown(tmp_path: Path) -> None:
    folder = write_comparison(tmp_path / "comparison", seeds=[0], arms=["smollm2", "no-model"])
    assert 'id="reads"' not in write_report(folder).html.read_text()
    seen = {"steps": 3, "picture": None, "drawing": "\x1b[41mS\x1b[0mF <hole>", "note": "A note."}
    sample = {**seen, "text": "row 0 <b>", "actions": [f"act {i}" for i in range(14)]}
    (folder / "sample.json").write_text(json.dumps(sample))
    page = write_report(folder)
    html = page.html.read_text()
    assert "<blockquote>row 0 &lt;b&gt;</blockquote>" in html
    assert 'background-color: #d03b3b">S</span>' in html
    assert "F &lt;hole&gt;" in html
    assert "<li>act 11</li>" in html
    assert "<li>and 2 more</li>" in html
    assert "after 3 random steps. A note." in html
    assert "> row 0 <b>" in page.markdown.read_text()


def test_many_arms_have_panels_of_their_own(page: Path, tmp_path: Path) -> None:
    panels = r'<g id="curves-wide-axes_\d+">'
    assert len(re.findall(panels, page.read_text())) == len(ARMS) - 1
    arms = ["smollm2", "no-model", "random-weights"]
    few = write_comparison(tmp_path / "comparison", seeds=[0], arms=arms)
    assert len(re.findall(panels, write_report(few).html.read_text())) == 1


def test_names_are_broken_behind_their_separators_only() -> None:
    assert wrapped("learned-embedding-of-words", 12) == "learned-\nembedding-\nof-words"
    assert wrapped("unbreakable", 3) == "unbreakable"
    assert breakable("algorithm.learning_rate <b>") == ("algorithm.<wbr>learning_rate &lt;b&gt;")


def test_differing_versions_are_told(tmp_path: Path) -> None:
    folder = write_comparison(tmp_path / "comparison", seeds=range(2), arms=["smollm2", "no-model"])
    file = folder / "no-model" / "1" / "env.json"
    told = json.loads(file.read_text())
    told["versions"]["gymnasium"] = "0.0.1"
    file.write_text(json.dumps(told))
    html = write_report(folder).html.read_text()
    assert re.search(r"\S+ · 0\.0\.1 <strong>\(runs differ\)</strong>", html)


def test_a_band_holds_its_curve_and_begins_low(comparison: Path) -> None:
    curve = results_of(Comparison.open(comparison))["arms"]["smollm2"]["curve"]
    low, center, high = (np.array(curve[key]) for key in ("low", "center", "high"))
    assert (low <= center).all()
    assert (center <= high).all()
    assert (low < high).any()
    assert center[0] < 0.2 < 0.7 < center[-1]


def test_the_same_folder_gives_the_same_report(comparison: Path, tmp_path: Path) -> None:
    first = write_report(comparison, tmp_path / "a" / "report.html")
    second = write_report(comparison, tmp_path / "b" / "report.html")
    assert first.html.read_text() == second.html.read_text()
    one, two = (io.BytesIO(files.figures["curves"].read_bytes()) for files in (first, second))
    with Image.open(one) as one, Image.open(two) as two:
        assert one.tobytes() == two.tobytes()


def test_the_report_says_what_results_say_and_computes_nothing(tmp_path: Path) -> None:
    folder = write_comparison(tmp_path / "comparison", seeds=range(2), arms=["smollm2", "no-model"])
    write_report(folder)
    file = folder / "results.json"
    results = json.loads(file.read_text())
    results["arms"]["smollm2"]["interquartile_mean"] = {
        "estimate": -1234.5, "low": -2345.6, "high": 0.5, "level": 0.95,
    }  # fmt: skip
    results["arms"]["smollm2"]["verdict"]["reason"] = "so it was written."
    file.write_text(json.dumps(results))
    html = write_report(folder).html.read_text()
    assert "\u22121,234 [\u22122,346, 0.5]" in html
    assert "So it was written." in html


def test_no_comparison_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"has no comparison\.yaml"):
        write_report(tmp_path)


def test_a_report_needs_no_torch(comparison: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from dragoman.cli import app\n"
        f"app(['report', {str(comparison)!r}, '--out', {str(tmp_path / 'r.html')!r}],"
        " standalone_mode=False)\n"
        "heavy = {'torch', 'transformers', 'stable_baselines3'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
