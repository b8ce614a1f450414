"""The report of a comparison: what it says, in HTML, in Markdown and in figures."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dragoman.comparison.speed import WINDOW
from dragoman.report.pages import render
from dragoman.report.plots import (
    Draw,
    References,
    Series,
    curves_figure,
    intervals_figure,
    png,
    svg,
)
from dragoman.report.reader import ArmResults, Results
from dragoman.stats.bootstrap import Interval

SIGNS = {"helped": "▲", "hurt": "▼", "no evidence": "●"}
"""What stands beside a verdict's colour, for those who do not see it."""

NOTHING = "\u2013"
"""What stands where there is no number: a dash."""

WIDTHS = ("wide", "narrow")
"""Every figure stands on the page twice, and the style shows the one that fits the screen."""

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
        out: The HTML file; ``report.html`` in the folder unless given. Beside it come the same
            in Markdown and the figures as PNG, under the same name.

    Raises:
        RunError: The folder holds no comparison, or a file in it is damaged.
    """
    results = Results(folder)
    html = Path(out) if out else results.path / "report.html"
    files = Files(
        html,
        html.with_suffix(".md"),
        html.with_name(f"{html.stem}-curves.png"),
        html.with_name(f"{html.stem}-intervals.png"),
    )
    html.parent.mkdir(parents=True, exist_ok=True)
    curves, intervals = figures(results)
    told = contents(results, html.parent)
    html.write_text(
        render(
            "report.html",
            **told,
            curves=[svg(curves, f"curves-{width}", wide=width == "wide") for width in WIDTHS],
            intervals=[
                svg(intervals, f"intervals-{width}", wide=width == "wide") for width in WIDTHS
            ],
        ),
        encoding="utf-8",
    )
    files.curves.write_bytes(png(curves))
    files.intervals.write_bytes(png(intervals))
    markdown = render("report.md", **told, curves=files.curves.name, intervals=files.intervals.name)
    files.markdown.write_text(markdown, encoding="utf-8")
    return files


def figures(results: Results) -> tuple[Draw, Draw]:
    """Return how to draw the learning curves and the intervals of the scores."""
    series = [
        Series(
            arm.name, arm.arm.kind, arm.band(), tuple(arm.scores.values()), arm.interquartile_mean
        )
        for arm in results.arms
    ]
    references = References(results.random, results.best)
    return (
        curves_figure(series, references, "return of training episodes"),
        intervals_figure(series, references, "mean return of evaluation"),
    )


def contents(results: Results, place: Path) -> dict[str, Any]:
    """Return everything that the report says, as the templates name it.

    Args:
        results: The comparison.
        place: The folder that the report will lie in, for links.
    """
    comparison, base = results.comparison, results.base
    judged = [arm for arm in results.arms if arm.verdict is not None]
    return {
        "name": comparison.name,
        "env": base.env,
        "algorithm": base.algorithm.name.upper(),
        "seeds": len(comparison.seeds),
        "steps": base.steps,
        "budget": comparison.budget,
        "episodes": comparison.evaluation.episodes,
        "headline": headline({arm.name: arm.verdict["outcome"] for arm in judged if arm.verdict}),
        "verdicts": [_verdict(arm.name, arm.verdict) for arm in judged if arm.verdict],
        "scores": [_score(arm) for arm in results.arms],
        "random": None if results.random is None else _number(results.random),
        "best": None if results.best is None else _number(results.best),
        "best_source": comparison.reference.source,
        "threshold": None if comparison.threshold is None else _number(comparison.threshold),
        "window": WINDOW,
        "speeds": [_speed(arm) for arm in results.arms if arm.speed],
        "saved": [
            (arm.name, one["against"], _interval(one["difference"]), f"{one['adjusted']:.2g}")
            for arm in judged
            if arm.speed
            for one in arm.speed["saved"]
        ],
        "cost_columns": COST_COLUMNS,
        "costs": [_cost(arm) for arm in results.arms],
        "arms": [{"name": arm.name, **vars(arm.arm), "prior": arm.prior} for arm in results.arms],
        "problems": [
            (arm.name, seed, problem) for arm in results.arms for seed, problem in arm.problems()
        ],
        "differences": [
            (arm, key, _plain(value), _plain(usual))
            for arm, key, value, usual in results.differences()
        ],
        "versions": results.versions(),
        "replays": [
            # Quoted, since a folder may be called javascript:.
            (name, quote(Path(os.path.relpath(results.path / name, place)).as_posix()))
            for name in results.replays()
        ],
    }


def headline(outcomes: Mapping[str, str]) -> str:
    """Return one sentence that answers whether the language model helped.

    Args:
        outcomes: What was found of each judged arm, by name.
    """
    sentences = {
        "helped": "helped in",
        "hurt": "hurt in",
        "no evidence": "was not shown to help in",
    }
    told = [
        f"{sentence} {_and(arms)}"
        for outcome, sentence in sentences.items()
        if (arms := [arm for arm, found in outcomes.items() if found == outcome])
    ]
    return f"The language model {'; it '.join(told)}."


def _verdict(arm: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return a verdict in words; before anything was evaluated it has no numbers."""
    reason = str(told["reason"])
    facts = {}
    if "mean" in told:
        facts = {
            "mean": _interval(told["mean"]),
            "interquartile mean": _interval(told["interquartile_mean"]),
            "seeds": str(len(told["seeds"])),
        }
    if told.get("share_of_best") is not None:
        facts["way from random to best"] = f"{told['share_of_best']:.0%}"
    return {
        "arm": arm,
        "outcome": told["outcome"],
        "sign": SIGNS[told["outcome"]],
        "reason": _typeset(reason[0].upper() + reason[1:]),
        "facts": facts,
        "comparisons": [
            {
                "against": one["against"],
                "difference": _interval(one["difference"]),
                "improvement": _interval(one["improvement"]),
                "p": f"{one['p_value']:.2g}",
                "adjusted": f"{one['adjusted']:.2g}",
            }
            for one in told.get("comparisons", ())
        ],
    }


def _score(arm: ArmResults) -> dict[str, str]:
    scores = list(arm.scores.values())
    return {
        "arm": arm.name,
        "kind": arm.arm.kind,
        "interval": _interval(arm.interquartile_mean),
        "mean": _number(sum(scores) / len(scores)) if scores else NOTHING,
        "sampled": _number(arm.sampled_mean),
        "worst": _number(min(scores, default=None)),
        "best": _number(max(scores, default=None)),
        "seeds": f"{len(scores)} of {len(arm.status)}",
    }


def _speed(arm: ArmResults) -> dict[str, str]:
    assert arm.speed is not None
    steps = arm.speed["steps"]
    median = arm.speed["median"]
    return {
        "arm": arm.name,
        "kind": arm.arm.kind,
        "reached": f"{arm.speed['reached']} of {len(steps)}",
        "median": _number(median) if math.isfinite(median) else "never",
        "mean": _number(arm.speed["restricted_mean"]),
        "seeds": ", ".join("never" if at is None else _number(at) for at in steps.values()),
    }


def _cost(arm: ArmResults) -> dict[str, str]:
    costs = arm.costs()
    told = {key: _number(costs[key]) for key in COST_COLUMNS}
    texts, remembered = costs["texts"], costs["texts_remembered"]
    if texts and remembered is not None:
        told["texts_remembered"] += f" ({remembered / texts:.1%})"
    return {"arm": arm.name, **told}


def _interval(interval: Interval | Mapping[str, Any] | None) -> str:
    """Return ``0.71 [0.64, 0.78]``, of an interval or of its plain data."""
    if interval is None:
        return NOTHING
    limits = interval if isinstance(interval, Mapping) else vars(interval)
    estimate, low, high = (_number(limits[key]) for key in ("estimate", "low", "high"))
    return f"{estimate} [{low}, {high}]"


def _number(value: float | None) -> str:
    if value is None:
        return NOTHING
    return _typeset(f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}")


def _typeset(text: str) -> str:
    """Return text with true minus signs, and with p-values that do not break over lines."""
    return re.sub(r"(?<!\w)-(?=\d)", "\u2212", text).replace("p = ", "p\u00a0=\u00a0")


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_plain(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(str(one) for one in value)
    return "none" if value is None else str(value)


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
