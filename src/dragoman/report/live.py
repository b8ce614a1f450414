"""A running training in the terminal, read from its folder."""

from __future__ import annotations

from typing import Any

import plotext
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dragoman.run import Run

WIDTH = 76
BINS = 60
STATUS_STYLES = {
    "running": "bold cyan",
    "finished": "bold green",
    "interrupted": "bold yellow",
    "failed": "bold red",
    "died": "bold red",
}
COSTS = {
    "model/tokens": "tokens",
    "model/texts": "texts",
    "model/texts_remembered": "of these remembered",
    "model/gigaflops": "GFLOP",
    "time/model_seconds": "seconds in the model",
}


def printable(text: str) -> Text:
    """Return text of a folder for a terminal: its brackets and escape sequences mean nothing."""
    return Text("".join(item if item.isprintable() or item == "\n" else "\ufffd" for item in text))


def view(run: Run) -> RenderableType:
    """Return what there is to see of a training at this moment, running or ended."""
    episodes, last = run.episodes(), run.last_metrics()
    steps = max(run.steps, *(int(row["step"]) for row in episodes[-1:]), int(last.get("step", 0)))
    curve = learning_curve(run, height=14)
    parts: list[RenderableType] = [
        _headline(run),
        _progress(steps, run.experiment.steps),
        Text.from_ansi(curve) if curve else Text("no episode has ended yet", style="dim"),
    ]
    costs = [f"{last[key]:,.0f} {name}" for key, name in COSTS.items() if last.get(key) is not None]
    if costs:
        parts.append(Text("model: " + " · ".join(costs)))
    if last:
        parts.append(_numbers(last))
    return Panel(Group(*parts), title=printable(str(run.path)), width=WIDTH + 4, title_align="left")


def learning_curve(run: Run, *, height: int = 18) -> str | None:
    """Return the mean return of the training episodes, drawn over environment steps.

    Args:
        run: The run.
        height: Lines to draw on.
    """
    at, returns = run.curve(BINS)
    if not len(at):
        return None
    plotext.clear_figure()
    plotext.plot_size(WIDTH, height)
    plotext.theme("clear")
    plotext.plot(at.tolist(), returns.tolist())
    plotext.title(f"{run.experiment.env}: return of training episodes")
    plotext.xlabel("environment steps")
    text: str = plotext.build()
    return text


def _headline(run: Run) -> Text:
    experiment, status = run.experiment, run.status
    model = experiment.model.name if experiment.may_use_model else "no model"
    line = Text.assemble(
        (status, STATUS_STYLES[status]),
        printable(f"  {experiment.env} · {experiment.algorithm.name} · {model} · seed {run.seed}"),
    )
    if run.environment.get("masks") == "ignored":
        line.append("\nignores which actions are valid: its algorithm cannot", "yellow")
    if status == "died":
        line.append(f"\nits process is gone; last heartbeat {run.heartbeat:%Y-%m-%d %H:%M:%S}")
    return line


def _progress(steps: int, total: int) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(
        ProgressBar(total=total, completed=steps, width=36),
        f"{steps:,} of {total:,} steps ({min(steps / total, 1):.0%})",
    )
    return grid


def _numbers(row: dict[str, Any]) -> Table:
    """Return the last metrics in two columns of name and number."""
    table = Table.grid(padding=(0, 2))
    for _ in range(2):
        table.add_column(style="dim", max_width=26, no_wrap=True)
        table.add_column(justify="right", min_width=8)
    shown = [
        (name, f"{value:,.4g}")
        for name, value in row.items()
        if isinstance(value, int | float) and name not in (*COSTS, "step")
    ]
    half = (len(shown) + 1) // 2
    for i in range(half):
        right = shown[half + i] if half + i < len(shown) else ("", "")
        table.add_row(*map(printable, (*shown[i], *right)))
    return table
