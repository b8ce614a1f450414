"""The report of a comparison: what it says, in HTML, in Markdown, as CSV and in figures.

All numbers are those of ``results.json``, see `dragoman.comparison.results`.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dragoman.comparison.folder import ComparisonFolder
from dragoman.comparison.results import read_results
from dragoman.files import write_bytes, write_text
from dragoman.report.contents import COST_COLUMNS, contents
from dragoman.report.drawing import figure_pair, png
from dragoman.report.forest import forest_figure, shifts_figure
from dragoman.report.pages import render
from dragoman.report.plots import curves_figure, intervals_figure


@dataclass(frozen=True)
class Files:
    """The files of a written report."""

    html: Path
    markdown: Path
    csv: Path
    figures: Mapping[str, Path]

    def __iter__(self) -> Iterator[Path]:
        """Go through all of them."""
        return iter((self.html, self.markdown, self.csv, *self.figures.values()))


def write_report(folder: str | Path, out: str | Path | None = None) -> Files:
    """Write the report of a comparison from its folder alone.

    Args:
        folder: The comparison's folder.
        out: The HTML file; ``report.html`` in the folder unless given. The same in Markdown, the
            runs as CSV and the figures as PNG are written next to it, under the same name.

    Raises:
        RunError: The folder holds no comparison, or a file in it is damaged.
    """
    opened = ComparisonFolder(folder)
    results = read_results(opened)
    html = Path(out) if out else opened.path / "report.html"
    draws = {
        "difference": forest_figure(results),
        "curves": curves_figure(results),
        "intervals": intervals_figure(results),
        "shifts": shifts_figure(results),
    }
    drawn = {name: draw for name, draw in draws.items() if draw is not None}
    files = Files(
        html,
        html.with_suffix(".md"),
        html.with_suffix(".csv"),
        {name: html.with_name(f"{html.stem}-{name}.png") for name in drawn},
    )
    said = {**contents(results), "replays": _replays(opened.path, html.parent)}
    page = render(
        "report.html",
        **said,
        figures={name: draw and figure_pair(draw, name) for name, draw in draws.items()},
        csv=runs_csv(results),
        yaml=opened.comparison.to_yaml(),
    )
    pictures = {name: files.figures[name].name if name in drawn else None for name in draws}
    write_text(files.html, page)
    write_text(files.markdown, render("report.md", **said, figures=pictures))
    write_text(files.csv, runs_csv(results))
    for name, draw in drawn.items():
        write_bytes(files.figures[name], png(draw))
    return files


def runs_csv(results: Mapping[str, Any]) -> str:
    """Return one row a run: what it scored and what it cost."""
    costs = [*COST_COLUMNS]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        ["arm", "kind", "seed", "status", "score", "score_greedy", "score_sampled", *costs]
    )
    for name, arm in results["arms"].items():
        for seed, status in arm["status"].items():
            own = arm["costs"].get(seed, {})
            kinds = ("scores", "greedy_scores", "sampled_scores")
            scores = (arm[kind].get(seed) for kind in kinds)
            writer.writerow([name, arm["kind"], seed, status, *scores, *map(own.get, costs)])
    return file.getvalue()


def _replays(folder: Path, place: Path) -> list[tuple[str, str]]:
    """Return name and link of each replay page in the folder, from where the report lies."""
    pages = sorted(folder.rglob("replay*.html"))
    return [
        # Quoted, since a folder may be called javascript:.
        (page.relative_to(folder).as_posix(), quote(Path(os.path.relpath(page, place)).as_posix()))
        for page in pages
    ]
