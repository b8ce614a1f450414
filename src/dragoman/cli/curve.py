"""A learning curve drawn in the terminal."""

from __future__ import annotations

import sys

import plotext
import typer

from dragoman.runs import Run


def print_curve(run: Run) -> None:
    """Draw the mean return of the training episodes over environment steps."""
    steps, returns = run.curve()
    if not len(steps):
        typer.echo("no episode has ended yet, so there is no learning curve")
        return
    plotext.clear_figure()
    plotext.plot_size(76, 18)
    plotext.theme("clear")
    plotext.plot(steps.tolist(), returns.tolist())
    plotext.title(f"{run.experiment.env}: return of training episodes")
    plotext.xlabel("environment steps")
    text = plotext.build()
    typer.echo(text if sys.stdout.isatty() else plotext.uncolorize(text))
