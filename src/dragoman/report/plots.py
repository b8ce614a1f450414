"""The report's figures, drawn by Matplotlib: SVG for the page, PNG for a paper."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from dragoman.stats.bootstrap import Interval

Draw = Callable[["Palette", bool], Figure]
"""Draws a figure in some colours, wide or narrow."""

WIDE_INCHES = 9.0
NARROW_INCHES = 3.7
DOTS_PER_INCH = 200

MARKERS = "osD^vPX"
CONTROL_DASHES = ((1, 1.4), (5, 1.5, 1, 1.5), (3, 1.5), (6, 1.5, 1, 1.5, 1, 1.5))


@dataclass(frozen=True)
class Palette:
    """Colours by what they mean."""

    paper: str
    ink: str
    soft: str
    line: str
    series: tuple[str, ...]


PRINT = Palette(
    "#ffffff",
    "#1d2126",
    "#565f69",
    "#d9dcd8",
    ("#0072b2", "#d55e00", "#009e73", "#b4578a", "#b87f00", "#3a95cc", "#4d4d4d"),
)
"""Okabe and Ito's colours, two of them darkened to be seen on white; for paper."""

_VARIABLES = Palette(
    "#0101e0", "#0101e1", "#0101e2", "#0101e3", tuple(f"#0101f{i}" for i in range(7))
)
"""Colours that no page uses; in the SVG they become variables of the page's style."""

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 9.0,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.linewidth": 0.6,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
}


def curves_figure(results: Mapping[str, Any]) -> Draw:
    """Return how to draw the learning curves with their bands and the reference lines.

    Args:
        results: What ``results.json`` says.
    """
    looks = _looks(results["arms"])

    def draw(palette: Palette, wide: bool) -> Figure:
        figure, axes = _blank(palette, wide, height=4.2 if wide else 3.4)
        handles, end = [], 0.0
        for index, (name, arm) in enumerate(results["arms"].items()):
            color, line = palette.series[looks[name].color], looks[name].line
            handles.append(Line2D([], [], color=color, label=name, **line))
            if arm["curve"] is None:
                continue
            steps, center, low, high = (
                # What is infinite, as the limits of a single run, is null in JSON, and here NaN.
                np.array(arm["curve"][key], dtype=np.float64)
                for key in ("steps", "center", "low", "high")
            )
            # Marks of different arms stand at different steps, so that none hides another.
            every = (index % 6, max(len(steps) // 6, 1))
            axes.plot(steps, center, color=color, markevery=every, **line)
            axes.fill_between(steps, low, high, color=color, alpha=0.16, linewidth=0)
            end = max(end, steps[-1])
        handles += _reference_lines(axes.axhline, results, palette)
        axes.set_xlabel("environment steps", color=palette.soft)
        axes.set_ylabel("return of training episodes", color=palette.soft)
        axes.xaxis.set_major_formatter(lambda value, _: _short(value))
        axes.set_xlim(0, (end or 1) * 1.01)
        axes.xaxis.set_major_locator(MaxNLocator(6 if wide else 4, steps=[1, 2, 2.5, 5, 10]))
        _legend(figure, handles, palette, wide)
        return figure

    return draw


def intervals_figure(results: Mapping[str, Any]) -> Draw:
    """Return how to draw each arm's seeds and the interval of their interquartile mean.

    Args:
        results: What ``results.json`` says.
    """
    arms = results["arms"]
    looks = _looks(arms)

    def draw(palette: Palette, wide: bool) -> Figure:
        figure, axes = _blank(palette, wide, height=1.1 + (0.36 if wide else 0.5) * len(arms))
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
                axes.annotate(
                    name,
                    (0, row + 0.2),
                    xycoords=("axes fraction", "data"),
                    color=palette.ink,
                    fontsize=8.5,
                    va="bottom",
                    # Reference lines pass behind the names.
                    bbox={"facecolor": palette.paper, "edgecolor": "none", "pad": 0.5},
                )
        handles = _reference_lines(axes.axvline, results, palette)
        axes.set_ylim(-0.6, len(arms) - 0.3)
        axes.set_yticks(range(len(arms)), list(reversed(arms)) if wide else [])
        axes.tick_params(axis="y", labelcolor=palette.ink)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("mean return of evaluation", color=palette.soft)
        _legend(figure, handles, palette, wide)
        return figure

    return draw


def svg(draw: Draw, name: str, *, wide: bool) -> Markup:
    """Return a figure as an inline SVG element whose colours follow the page's theme.

    Args:
        draw: What a function above returned.
        name: Prefix of the ids in the element, different for every figure of a page.
        wide: For a desk rather than a phone.
    """
    file = io.StringIO()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        draw(_VARIABLES, wide).savefig(file, format="svg", transparent=True)
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    # Inside HTML the namespaces are known, and the page sets the size.
    text = re.sub(r' xmlns(:\w+)?="[^"]*"| (width|height)="[\d.]+pt"| version="1.1"', "", text)
    text = text.replace("xlink:href", "href")
    text = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", text)
    for field in ("paper", "ink", "soft", "line"):
        text = text.replace(getattr(_VARIABLES, field), f"var(--{field})")
    for index, color in enumerate(_VARIABLES.series):
        text = text.replace(color, f"var(--series-{index})")
    return Markup(text.replace("<svg", '<svg aria-hidden="true" focusable="false"', 1))


def png(draw: Draw) -> bytes:
    """Return a figure as PNG on white, for a paper."""
    file = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        draw(PRINT, True).savefig(file, format="png", dpi=DOTS_PER_INCH, facecolor="white")
    return file.getvalue()


@dataclass(frozen=True)
class _Look:
    """Colour, marker and line of a series."""

    color: int
    marker: str
    width: float
    dashes: Any
    size: float

    @property
    def line(self) -> dict[str, Any]:
        """The same but the colour, in Matplotlib's words."""
        return {
            "marker": self.marker,
            "linewidth": self.width,
            "linestyle": self.dashes,
            "markersize": self.size,
        }


def _looks(arms: Mapping[str, Any]) -> dict[str, _Look]:
    """Return how each arm is drawn: judged arms solid, the baseline dashed, controls dotted.

    Markers and dashes differ too, as colour never stands alone.
    """
    looks: dict[str, _Look] = {}
    color = control = 0
    for index, (name, arm) in enumerate(arms.items()):
        marker = MARKERS[index % len(MARKERS)]
        if arm["kind"] == "baseline":
            looks[name] = _Look(6, marker, 1.6, "--", 4.5)
            continue
        looks[name] = _Look(color % 6, marker, 2.0, "-", 5)
        if arm["kind"] == "control":
            dashes = CONTROL_DASHES[control % len(CONTROL_DASHES)]
            looks[name] = _Look(color % 6, marker, 1.3, (0, dashes), 4)
            control += 1
        color += 1
    return looks


def _blank(palette: Palette, wide: bool, *, height: float) -> tuple[Figure, Axes]:
    figure = Figure((WIDE_INCHES if wide else NARROW_INCHES, height), layout="constrained")
    axes = figure.subplots()
    axes.tick_params(colors=palette.soft)
    axes.grid(color=palette.line)
    axes.patch.set_visible(False)
    for spine in axes.spines.values():
        spine.set_color(palette.line)
    return figure, axes


def _reference_lines(
    draw: Callable[..., Line2D], results: Mapping[str, Any], palette: Palette
) -> list[Line2D]:
    lines = [
        (results["random"], "random policy", ":"),
        (results["reference"]["best_known"], "best known", "-."),
    ]
    return [
        draw(value, color=palette.soft, lw=1.2, ls=dashes, label=name, zorder=1)
        for value, name, dashes in lines
        if value is not None
    ]


def _legend(figure: Figure, handles: list[Line2D], palette: Palette, wide: bool) -> None:
    figure.legend(
        handles=handles,
        loc="outside upper left" if wide else "outside lower left",
        ncols=min(len(handles), 5 if wide else 2),
        labelcolor=palette.ink,
        handlelength=3.2,
        columnspacing=1.4,
        fontsize=9 if wide else 8,
    )


def _short(value: float) -> str:
    """Return 20000 as 20k."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
