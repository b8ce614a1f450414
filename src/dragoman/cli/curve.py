"""A learning curve drawn in the terminal."""

from __future__ import annotations

import sys

import numpy as np
import plotext
import typer

from dragoman.runs import Run

BINS = 60


def print_curve(run: Run) -> None:
    """Draw the mean return of the training episodes over environment steps."""
    episodes = run.episodes()
    if not episodes:
        typer.echo("no episode has ended yet, so there is no learning curve")
        return
    steps = np.array([episode["step"] for episode in episodes])
    returns = np.array([episode["return"] for episode in episodes])
    edges = np.linspace(0, max(run.steps, int(steps.max())), min(BINS, len(steps)) + 1)
    bins = np.digitize(steps, edges[1:-1])
    used = np.unique(bins)
    plotext.clear_figure()
    plotext.plot_size(76, 18)
    plotext.theme("clear")
    plotext.plot(
        [float(edges[i + 1]) for i in used], [float(returns[bins == i].mean()) for i in used]
    )
    plotext.title(f"{run.experiment.env}: return of training episodes")
    plotext.xlabel("environment steps")
    text = plotext.build()
    typer.echo(text if sys.stdout.isatty() else plotext.uncolorize(text))
