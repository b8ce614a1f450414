"""The figure that a verdict rests on: each arm's paired differences, beside zero."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from dragoman.report.drawing import Draw, Look, Palette, blank, legend, looks_of, wrapped
from dragoman.report.plots import name_row
from dragoman.stats.bootstrap import Interval

BETWEEN = 0.6
"""Rows between the comparisons of two arms."""


def forest_figure(results: Mapping[str, Any]) -> Draw | None:
    """Return how to draw the differences that decide, or nothing before there are any.

    Args:
        results: What ``results.json`` says.
    """
    rows = list(_rows(results["arms"]))
    return _figure(rows, results["arms"], "difference of mean return on the same seeds")


def shifts_figure(results: Mapping[str, Any]) -> Draw | None:
    """Return how to draw what each arm loses or gains under each shift, or nothing without any.

    Args:
        results: What ``results.json`` says.
    """
    arms = results["arms"]
    rows = [
        _row(name, f"{name}, {shift}", said["change"], said["by_seed"])
        for name, arm in arms.items()
        for shift, said in arm["shifts"].items()
    ]
    return _figure(rows, arms, "change of mean return under the shift, same agents")


def _figure(rows: Sequence[_Row], arms: Mapping[str, Any], axis: str) -> Draw | None:
    if not rows:
        return None
    looks = looks_of(arms)

    def draw(palette: Palette, wide: bool) -> Figure:
        labels = [wrapped(row.label, 34 if wide else 46) for row in rows]
        places = _places(rows, labels, wide)
        bottom = places[-1] - 0.6
        figure, axes = blank(palette, wide, height=1.1 + (0.42 if wide else 0.5) * -bottom)
        axes.axvline(0, color=palette.ink, lw=1.2, zorder=1)
        for row, label, place in zip(rows, labels, places, strict=True):
            _draw_row(axes, row, place, looks[row.arm], palette)
            if not wide:
                name_row(axes, label, place + 0.2, palette)
        if wide:
            numbers = axes.twinx()
            numbers.set_ylim(bottom, 0.8)
            numbers.set_yticks(places, [row.numbers for row in rows])
            numbers.tick_params(axis="y", labelcolor=palette.ink, labelsize=8.5, length=0)
            numbers.grid(visible=False)
            for spine in numbers.spines.values():
                spine.set_visible(False)
        axes.set_ylim(bottom, 0.8)
        axes.set_yticks(places, labels if wide else [""] * len(places))
        axes.tick_params(axis="y", labelcolor=palette.ink)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(8 if wide else 4))
        _directions(axes, palette)
        axes.set_xlabel(axis, color=palette.soft)
        legend(figure, _handles(palette), palette, wide)
        return figure

    return draw


@dataclass(frozen=True)
class _Row:
    """One comparison of one arm."""

    arm: str
    label: str
    numbers: str
    interval: Interval
    by_seed: tuple[float, ...]
    is_shown: bool


def _rows(arms: Mapping[str, Any]) -> Iterator[_Row]:
    """Yield all comparisons of all judged arms, from top to bottom."""
    for name, arm in arms.items():
        verdict = arm["verdict"]
        if not verdict or "comparisons" not in verdict:
            continue
        for item in verdict["comparisons"]:
            yield _row(
                name, f"{name} against {item['against']}", item["difference"], item["by_seed"]
            )


def _row(arm: str, label: str, data: Mapping[str, Any], by_seed: Iterable[float]) -> _Row:
    interval = Interval.from_json(data)
    # What is better without doubt lies right of zero, what is worse left of it.
    is_shown = interval.low > 0 or interval.high < 0
    numbers = str(interval).replace("-", "\u2212")
    return _Row(arm, label, numbers, interval, tuple(by_seed), is_shown)


def _places(rows: Sequence[_Row], labels: Sequence[str], wide: bool) -> list[float]:
    """Return where each row stands, from zero downwards."""
    places = [0.0]
    for (before, row), label in zip(pairwise(rows), labels[1:], strict=True):
        # Where labels stand above their rows, each of their lines needs room.
        lines = 0 if wide else label.count("\n")
        places.append(places[-1] - 1 - 0.4 * lines - BETWEEN * (before.arm != row.arm))
    return places


def _draw_row(axes: Axes, row: _Row, place: float, look: Look, palette: Palette) -> None:
    color, interval = palette.series[look.color], row.interval
    axes.plot(row.by_seed, np.full(len(row.by_seed), place - 0.24), "|", color=color, alpha=0.7)
    if np.isfinite([interval.low, interval.high]).all():
        axes.plot([interval.low, interval.high], [place, place], color=color, lw=2.4)
    fill = color if row.is_shown else palette.paper
    axes.plot(interval.estimate, place, look.marker, color=color, mfc=fill, ms=8, mew=1.6)


def _directions(axes: Axes, palette: Palette) -> None:
    """Say on which side of zero the arm is better."""
    left, right = axes.get_xlim()
    # Zero is always seen, with room on both sides.
    room = 0.08 * (max(right, 0) - min(left, 0) or 1)
    axes.set_xlim(min(left, -room), max(right, room))
    for text, offset, side in (("worse \u2190", -4, "right"), ("\u2192 better", 4, "left")):
        axes.annotate(
            text,
            (0, 1),
            xycoords=("data", "axes fraction"),
            xytext=(offset, 3),
            textcoords="offset points",
            ha=side,
            color=palette.soft,
            fontsize=8.5,
        )


def _handles(palette: Palette) -> list[Line2D]:
    plain: dict[str, Any] = {"color": palette.soft, "ms": 7, "mew": 1.6}
    return [
        Line2D([], [], marker="o", lw=2.4, label="interval without zero", **plain),
        Line2D([], [], marker="o", lw=2.4, mfc=palette.paper, label="interval with zero", **plain),
        Line2D([], [], marker="|", lw=0, label="one seed", **plain),
    ]
