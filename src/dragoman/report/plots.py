"""The report's figures, drawn by Matplotlib: SVG for the page, PNG for a paper."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from dragoman.report.reader import Band
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
"""Colours that nobody uses; in the SVG they become variables of the page's style."""

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


@dataclass(frozen=True)
class Series:
    """One arm as the figures draw it.

    Attributes:
        name: Its name.
        kind: Judged arms are solid, the baseline dashed, controls dotted.
        band: Its learning curve, if any episode ended.
        scores: One a seed.
        interval: Of the interquartile mean of the scores.
    """

    name: str
    kind: str
    band: Band | None
    scores: tuple[float, ...]
    interval: Interval | None


@dataclass(frozen=True)
class References:
    """The lines that every figure shows: random and best known return."""

    random: float | None
    best: float | None

    def lines(self) -> list[tuple[float, str, str]]:
        """Return value, name and dash pattern of each line."""
        known = [(self.random, "random policy", ":"), (self.best, "best known", "-.")]
        return [(value, name, dashes) for value, name, dashes in known if value is not None]


def curves_figure(series: Sequence[Series], references: References, axis: str) -> Draw:
    """Return how to draw the learning curves with their bands and the reference lines."""

    def draw(palette: Palette, wide: bool) -> Figure:
        figure, axes = _blank(palette, wide, height=4.2 if wide else 3.4)
        handles = []
        for index, one in enumerate(series):
            look = _look(one.kind, index, series)
            color = palette.series[look.color]
            line = Line2D([], [], color=color, label=one.name, **look.line)
            handles.append(line)
            if one.band is None:
                continue
            axes.plot(
                one.band.steps,
                one.band.center,
                color=color,
                # Marks of different arms stand at different steps, so that none hides another.
                markevery=(index % 6, max(len(one.band.steps) // 6, 1)),
                **look.line,
            )
            axes.fill_between(
                one.band.steps, one.band.low, one.band.high, color=color, alpha=0.16, linewidth=0
            )
        handles += _reference_lines(axes.axhline, references, palette)
        axes.set_xlabel("environment steps", color=palette.soft)
        axes.set_ylabel(axis, color=palette.soft)
        axes.xaxis.set_major_formatter(lambda value, _: _short(value))
        axes.set_xlim(0, max((one.band.steps[-1] for one in series if one.band), default=1) * 1.01)
        axes.xaxis.set_major_locator(MaxNLocator(6 if wide else 4, steps=[1, 2, 2.5, 5, 10]))
        _legend(figure, handles, palette, wide)
        return figure

    return draw


def intervals_figure(series: Sequence[Series], references: References, axis: str) -> Draw:
    """Return how to draw each arm's seeds and the interval of their interquartile mean."""

    def draw(palette: Palette, wide: bool) -> Figure:
        figure, axes = _blank(palette, wide, height=1.1 + (0.36 if wide else 0.5) * len(series))
        for index, one in enumerate(series):
            look, row = _look(one.kind, index, series), len(series) - 1 - index
            color = palette.series[look.color]
            axes.plot(one.scores, np.full(len(one.scores), row - 0.24), "|", color=color, alpha=0.7)
            if one.interval is not None:
                axes.plot([one.interval.low, one.interval.high], [row, row], color=color, lw=2.4)
                axes.plot(one.interval.estimate, row, look.marker, color=color, ms=7)
            if not wide:
                axes.annotate(
                    one.name,
                    (0, row + 0.2),
                    xycoords=("axes fraction", "data"),
                    color=palette.ink,
                    fontsize=8.5,
                    va="bottom",
                    # Reference lines pass behind the names.
                    bbox={"facecolor": palette.paper, "edgecolor": "none", "pad": 0.5},
                )
        handles = _reference_lines(axes.axvline, references, palette)
        axes.set_ylim(-0.6, len(series) - 0.3)
        axes.set_yticks(range(len(series)), [one.name for one in reversed(series)] if wide else [])
        axes.tick_params(axis="y", labelcolor=palette.ink)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(axis, color=palette.soft)
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


def _look(kind: str, index: int, series: Sequence[Series]) -> _Look:
    """Return how a series is drawn: markers and dashes differ too, as colour never stands alone."""
    marker = MARKERS[index % len(MARKERS)]
    if kind == "baseline":
        return _Look(6, marker, 1.6, "--", 4.5)
    color = [i for i, one in enumerate(series) if one.kind != "baseline"].index(index) % 6
    if kind == "control":
        nth = [i for i, one in enumerate(series) if one.kind == "control"].index(index)
        return _Look(color, marker, 1.3, (0, CONTROL_DASHES[nth % len(CONTROL_DASHES)]), 4)
    return _Look(color, marker, 2.0, "-", 5)


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
    draw: Callable[..., Line2D], references: References, palette: Palette
) -> list[Line2D]:
    return [
        draw(value, color=palette.soft, lw=1.2, ls=dashes, label=name, zorder=1)
        for value, name, dashes in references.lines()
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
