"""The report of a comparison: what it says, in HTML, in Markdown and in figures.

All numbers are those of ``results.json``, see `dragoman.comparison.results`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dragoman.comparison.folder import ComparisonFolder
from dragoman.comparison.results import read_results
from dragoman.files import write_bytes, write_text
from dragoman.report.pages import render
from dragoman.report.plots import curves_figure, intervals_figure, png, svg
from dragoman.stats.bootstrap import Interval, number

SIGNS = {"helped": "▲", "hurt": "▼", "no evidence": "●"}
"""What is printed with a verdict's colour, for those who do not see it."""

NOTHING = "\u2013"
"""What is printed where there is no number: a dash."""

WIDTHS = ("wide", "narrow")
"""Every figure is on the page twice, and the style shows the one that fits the screen."""

COST_COLUMNS = {
    "steps": "steps",
    "seconds": "seconds",
    "model_seconds": "of these in the model",
    "texts": "texts asked",
    "texts_remembered": "from the cache",
    "tokens": "tokens",
    "gigaflops": "GFLOP",
}


@dataclass(frozen=True)
class Files:
    """The files of a written report."""

    html: Path
    markdown: Path
    curves: Path
    intervals: Path


def write_report(folder: str | Path, out: str | Path | None = None) -> Files:
    """Write the report of a comparison from its folder alone.

    Args:
        folder: The comparison's folder.
        out: The HTML file; ``report.html`` in the folder unless given. The same in Markdown
            and the figures as PNG are written next to it, under the same name.

    Raises:
        RunError: The folder holds no comparison, or a file in it is damaged.
    """
    opened = ComparisonFolder(folder)
    results = read_results(opened)
    html = Path(out) if out else opened.path / "report.html"
    files = Files(
        html,
        html.with_suffix(".md"),
        html.with_name(f"{html.stem}-curves.png"),
        html.with_name(f"{html.stem}-intervals.png"),
    )
    curves, intervals = curves_figure(results), intervals_figure(results)
    said = {**contents(results), "replays": _replays(opened.path, html.parent)}
    page = render(
        "report.html",
        **said,
        curves=[svg(curves, f"curves-{width}", wide=width == "wide") for width in WIDTHS],
        intervals=[svg(intervals, f"intervals-{width}", wide=width == "wide") for width in WIDTHS],
    )
    markdown = render("report.md", **said, curves=files.curves.name, intervals=files.intervals.name)
    write_text(files.html, page)
    write_text(files.markdown, markdown)
    write_bytes(files.curves, png(curves))
    write_bytes(files.intervals, png(intervals))
    return files


def contents(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that the report says of results, as the templates name it."""
    arms = [{"name": name, **arm} for name, arm in results["arms"].items()]
    judged = [arm for arm in arms if arm["verdict"]]
    kept = ("name", "env", "steps", "budget", "episodes", "window", "versions")
    return {
        **{key: results[key] for key in kept},
        "algorithm": results["algorithm"].upper(),
        "seeds": len(results["seeds"]),
        "headline": headline({arm["name"]: arm["verdict"]["outcome"] for arm in judged}),
        "verdicts": [_verdict(arm["name"], arm["verdict"]) for arm in judged],
        "scores": [_score(arm) for arm in arms],
        "random": None if results["random"] is None else _number(results["random"]),
        "best": _number(best) if (best := results["reference"]["best_known"]) is not None else None,
        "best_source": results["reference"]["source"],
        "threshold": _number(results["threshold"]),
        "speeds": [_speed(arm) for arm in arms if arm["speed"]],
        "saved": [
            (arm["name"], item["against"], _interval(item["difference"]), f"{item['adjusted']:.2g}")
            for arm in judged
            if arm["speed"]
            for item in arm["speed"]["saved"]
        ],
        "cost_columns": COST_COLUMNS,
        "costs": [_cost(arm) for arm in arms],
        "arms": arms,
        "problems": [(arm["name"], seed, why) for arm in arms for seed, why in arm["problems"]],
        "differences": [
            (arm["name"], key, _setting(value), _setting(usual))
            for arm in arms
            for key, (value, usual) in arm["differences"].items()
        ],
    }


def headline(outcomes: Mapping[str, str]) -> str:
    """Return one sentence that answers whether the language model helped.

    Args:
        outcomes: Outcome of each judged arm's verdict, by name.
    """
    sentences = {
        "helped": "helped in",
        "hurt": "hurt in",
        "no evidence": "was not shown to help in",
    }
    parts = [
        f"{sentence} {_and(arms)}"
        for outcome, sentence in sentences.items()
        if (arms := [arm for arm, has in outcomes.items() if has == outcome])
    ]
    return f"The language model {'; it '.join(parts)}."


def _replays(folder: Path, place: Path) -> list[tuple[str, str]]:
    """Return name and link of each replay page in the folder, from where the report lies."""
    pages = sorted(folder.rglob("replay*.html"))
    return [
        # Quoted, since a folder may be called javascript:.
        (page.relative_to(folder).as_posix(), quote(Path(os.path.relpath(page, place)).as_posix()))
        for page in pages
    ]


def _verdict(arm: str, verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Return a verdict in words; before anything was evaluated it has no numbers."""
    reason = str(verdict["reason"])
    facts = {}
    if "mean" in verdict:
        facts = {
            "mean": _interval(verdict["mean"]),
            "interquartile mean": _interval(verdict["interquartile_mean"]),
            "seeds": str(len(verdict["seeds"])),
        }
    if verdict.get("share_of_best") is not None:
        facts["way from random to best"] = f"{verdict['share_of_best']:.0%}"
    return {
        "arm": arm,
        "outcome": verdict["outcome"],
        "sign": SIGNS[verdict["outcome"]],
        "reason": _typeset(reason[0].upper() + reason[1:]),
        "facts": facts,
        "comparisons": [
            {
                "against": item["against"],
                "difference": _interval(item["difference"]),
                "improvement": _interval(item["improvement"]),
                "p": f"{item['p_value']:.2g}",
                "adjusted": f"{item['adjusted']:.2g}",
            }
            for item in verdict.get("comparisons", ())
        ],
    }


def _score(arm: Mapping[str, Any]) -> dict[str, str]:
    return {
        "arm": arm["name"],
        "kind": arm["kind"],
        "interval": _interval(arm["interquartile_mean"]),
        "mean": _number(arm["mean"] and arm["mean"]["estimate"]),
        "sampled": _number(arm["sampled_mean"]),
        "worst": _number(arm["worst"]),
        "best": _number(arm["best"]),
        "seeds": f"{len(arm['scores'])} of {len(arm['status'])}",
    }


def _speed(arm: Mapping[str, Any]) -> dict[str, str]:
    speed = arm["speed"]
    return {
        "arm": arm["name"],
        "kind": arm["kind"],
        "reached": f"{speed['reached']} of {len(speed['steps'])}",
        "median": _number(speed["median"], "never"),
        "mean": _number(speed["restricted_mean"]),
        "seeds": ", ".join(_number(at, "never") for at in speed["steps"].values()),
    }


def _cost(arm: Mapping[str, Any]) -> dict[str, str]:
    costs = arm["mean_costs"]
    row = {key: _number(costs[key]) for key in COST_COLUMNS}
    if costs["texts"]:
        row["texts_remembered"] += f" ({costs['texts_remembered'] / costs['texts']:.1%})"
    return {"arm": arm["name"], **row}


def _interval(data: Mapping[str, Any] | None) -> str:
    return NOTHING if data is None else _typeset(str(Interval.from_json(data)))


def _number(value: float | None, nothing: str = NOTHING) -> str:
    return nothing if value is None else _typeset(number(value))


def _typeset(text: str) -> str:
    """Return text with true minus signs, and with p-values that do not break over lines."""
    return re.sub(r"(?<!\w)-(?=\d)", "\u2212", text).replace("p = ", "p\u00a0=\u00a0")


def _setting(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_setting(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return "none" if value is None else str(value)


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
