"""The report's figures: learning curves, and the scores with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from dragoman.report.drawing import (
    NARROW_INCHES,
    WIDE_INCHES,
    Draw,
    Look,
    Palette,
    blank,
    dress,
    legend,
    looks_of,
    reference_lines,
    short,
    wrapped,
)
from dragoman.stats.bootstrap import Interval

TOGETHER = 3
"""Bands of more arms than this would hide each other: each gets a panel of its own."""


def curves_figure(results: Mapping[str, Any]) -> Draw | None:
    """Return how to draw the learning curves with their bands and the reference lines, if any.

    Few arms share a panel. Of many, each has its own with the baseline behind it.

    Args:
        results: What ``results.json`` says.
    """
    arms = results["arms"]
    if all(arm["curve"] is None for arm in arms.values()):
        return None
    return _together(results) if len(arms) <= TOGETHER else _apart(results)


def _together(results: Mapping[str, Any]) -> Draw:
    arms = results["arms"]
    looks = looks_of(arms)

    def draw(palette: Palette, wide: bool) -> Figure:
        figure, axes = blank(palette, wide, height=4.2 if wide else 3.4)
        handles = []
        for index, (name, arm) in enumerate(arms.items()):
            color = palette.series[looks[name].color]
            handles.append(Line2D([], [], color=color, label=name, **looks[name].line))
            _curve(axes, arm["curve"], looks[name], palette, index)
        handles += reference_lines(axes.axhline, results, palette)
        axes.set_xlabel("environment steps", color=palette.soft)
        axes.set_ylabel("return of training episodes", color=palette.soft)
        _steps_axis([axes], results, ticks=6 if wide else 4)
        legend(figure, handles, palette, wide)
        return figure

    return draw


def _apart(results: Mapping[str, Any]) -> Draw:
    arms = results["arms"]
    looks = looks_of(arms)
    base = next(name for name, arm in arms.items() if arm["kind"] == "baseline")
    others = [name for name in arms if name != base]

    def draw(palette: Palette, wide: bool) -> Figure:
        columns = min(len(others), 3 if wide else 2)
        rows = -(-len(others) // columns)
        size = (WIDE_INCHES if wide else NARROW_INCHES, 0.9 + (2.0 if wide else 1.6) * rows)
        figure = Figure(size, layout="constrained")
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        panels: list[Axes] = list(grid.ravel())
        for axes, name in zip(panels, others, strict=False):
            dress(axes, palette)
            _curve(axes, arms[base]["curve"], looks[base], palette, 0)
            _curve(axes, arms[name]["curve"], looks[name], palette, 3)
            reference_lines(axes.axhline, results, palette)
            color = palette.series[looks[name].color]
            kind = "" if arms[name]["kind"] == "arm" else ", control"
            title = wrapped(f"{name}{kind}", 34 if wide else 20)
            axes.set_title(title, color=color, loc="left", fontsize=9.5 if wide else 8.5)
        for axes in panels[len(others) :]:
            axes.set_visible(False)
        # The lowest panel of each column bears the numbers, also where a row is not full.
        for axes in panels[len(others) - columns : len(others)]:
            axes.tick_params(labelbottom=True)
        line = {"color": palette.series[6], **looks[base].line}
        handles = [Line2D([], [], label=base, **line), *_reference_handles(results, palette)]
        figure.supxlabel("environment steps", color=palette.soft, fontsize=9)
        figure.supylabel("return of training episodes", color=palette.soft, fontsize=9)
        _steps_axis(panels, results, ticks=4 if wide else 2)
        legend(figure, handles, palette, wide)
        return figure

    return draw


def _curve(axes: Axes, curve: Any, look: Look, palette: Palette, index: int) -> None:
    if curve is None:
        return
    steps, center, low, high = (
        # What is infinite, as the limits of a single run, is null in JSON, and here NaN.
        np.array(curve[key], dtype=np.float64)
        for key in ("steps", "center", "low", "high")
    )
    color = palette.series[look.color]
    # Marks of different arms stand at different steps, so that none hides another.
    every = (index % 6, max(len(steps) // 6, 1))
    axes.plot(steps, center, color=color, markevery=every, **look.line)
    axes.fill_between(steps, low, high, color=color, alpha=0.18, linewidth=0)


def _steps_axis(panels: Sequence[Axes], results: Mapping[str, Any], *, ticks: int) -> None:
    curves = [arm["curve"] for arm in results["arms"].values() if arm["curve"] is not None]
    end = max((curve["steps"][-1] for curve in curves), default=1)
    for axes in panels:
        axes.xaxis.set_major_formatter(lambda value, _: short(value))
        axes.set_xlim(0, end * 1.01)
        axes.xaxis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]))


def _reference_handles(results: Mapping[str, Any], palette: Palette) -> list[Line2D]:
    def blank_line(value: float, **look: Any) -> Line2D:
        look.pop("zorder")
        return Line2D([], [], **look)

    return reference_lines(blank_line, results, palette)


def intervals_figure(results: Mapping[str, Any]) -> Draw | None:
    """Return how to draw each arm's seeds and the interval of their interquartile mean, if any.

    Args:
        results: What ``results.json`` says.
    """
    arms = results["arms"]
    if not any(arm["scores"] for arm in arms.values()):
        return None
    looks = looks_of(arms)

    def draw(palette: Palette, wide: bool) -> Figure:
        figure, axes = blank(palette, wide, height=1.1 + (0.36 if wide else 0.5) * len(arms))
        for index, (name, arm) in enumerate(arms.items()):
            row = len(arms) - 1 - index
            color, marker = palette.series[looks[name].color], looks[name].marker
            scores = list(arm["scores"].values())
            axes.plot(scores, np.full(len(scores), row - 0.24), "|", color=color, alpha=0.7)
            if arm["interquartile_mean"] is not None:
                interval = Interval.from_json(arm["interquartile_mean"])
                axes.plot([interval.low, interval.high], [row, row], color=color, lw=2.4)
                axes.plot(interval.estimate, row, marker, color=color, ms=7)
            if not wide:
                name_row(axes, wrapped(name, 46), row + 0.2, palette)
        handles = reference_lines(axes.axvline, results, palette)
        axes.set_ylim(-0.6, len(arms) - 0.3)
        names = [wrapped(name, 28) for name in reversed(arms)]
        axes.set_yticks(range(len(arms)), names if wide else [""] * len(arms))
        axes.tick_params(axis="y", labelcolor=palette.ink)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("mean return of evaluation", color=palette.soft)
        legend(figure, handles, palette, wide)
        return figure

    return draw


def name_row(axes: Axes, name: str, height: float, palette: Palette) -> None:
    """Write a name above its row, where there is no room beside it."""
    written = axes.annotate(
        name,
        (0, height),
        xycoords=("axes fraction", "data"),
        color=palette.ink,
        fontsize=8.5,
        va="bottom",
        # Reference lines pass behind the names.
        bbox={"facecolor": palette.paper, "edgecolor": "none", "pad": 0.5},
    )
    # Otherwise a long name would make the panel narrow.
    written.set_in_layout(False)
