"""A learning curve drawn in the terminal."""

from __future__ import annotations

import sys

import plotext
import typer

from dragoman.report.live import learning_curve
from dragoman.run import Run


def print_curve(run: Run) -> None:
    """Draw the mean return of the training episodes over environment steps."""
    curve = learning_curve(run)
    if curve is None:
        typer.echo("no episode has ended yet, so there is no learning curve")
        return
    typer.echo(curve if sys.stdout.isatty() else plotext.uncolorize(curve))
