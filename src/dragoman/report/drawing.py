"""How the pages' figures are drawn by Matplotlib: SVG for the page, PNG for a paper."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

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


def figure_pair(draw: Draw, name: str) -> tuple[Markup, Markup]:
    """Return a figure for a desk and for a phone; the page's style shows the one that fits."""
    return svg(draw, f"{name}-wide", wide=True), svg(draw, f"{name}-narrow", wide=False)


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
class Look:
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


def looks_of(arms: Mapping[str, Any]) -> dict[str, Look]:
    """Return how each arm is drawn: judged arms solid, the baseline dashed, controls dotted.

    Markers and dashes differ too, as colour never stands alone.
    """
    looks: dict[str, Look] = {}
    color = control = 0
    for index, (name, arm) in enumerate(arms.items()):
        marker = MARKERS[index % len(MARKERS)]
        if arm["kind"] == "baseline":
            looks[name] = Look(6, marker, 1.6, "--", 4.5)
            continue
        looks[name] = Look(color % 6, marker, 2.0, "-", 5)
        if arm["kind"] == "control":
            dashes = CONTROL_DASHES[control % len(CONTROL_DASHES)]
            looks[name] = Look(color % 6, marker, 1.3, (0, dashes), 4)
            control += 1
        color += 1
    return looks


def blank(palette: Palette, wide: bool, *, height: float) -> tuple[Figure, Axes]:
    """Return a figure of one panel."""
    figure = Figure((WIDE_INCHES if wide else NARROW_INCHES, height), layout="constrained")
    axes = figure.subplots()
    dress(axes, palette)
    return figure, axes


def dress(axes: Axes, palette: Palette) -> None:
    """Give a panel the colours of the page."""
    axes.tick_params(colors=palette.soft)
    axes.grid(color=palette.line)
    axes.patch.set_visible(False)
    for spine in axes.spines.values():
        spine.set_color(palette.line)


def reference_lines(
    draw: Callable[..., Line2D], results: Mapping[str, Any], palette: Palette
) -> list[Line2D]:
    """Draw what a random policy earns, and the best known return, where they are known."""
    lines = [
        (results["random"], "random policy", ":"),
        (results["reference"]["best_known"], "best known", "-."),
    ]
    return [
        draw(value, color=palette.soft, lw=1.2, ls=dashes, label=name, zorder=1)
        for value, name, dashes in lines
        if value is not None
    ]


def legend(figure: Figure, handles: list[Line2D], palette: Palette, wide: bool) -> None:
    """Put a legend beside the panels."""
    figure.legend(
        handles=handles,
        loc="outside upper left" if wide else "outside lower left",
        ncols=min(len(handles), 5 if wide else 2),
        labelcolor=palette.ink,
        handlelength=3.2,
        columnspacing=1.4,
        fontsize=9 if wide else 8,
    )


def wrapped(name: str, width: int) -> str:
    """Return a name in lines that end behind its own separators, never inside a word."""
    lines = [""]
    for part in re.findall(r"[^-_./ ]*[-_./ ]?", name):
        if part and lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.strip() for line in lines)


def short(value: float) -> str:
    """Return 20000 as 20k."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
