"""``dragoman watch``: a running training, live in the terminal."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from dragoman.cli.options import AsJson
from dragoman.report.live import view
from dragoman.run import Run
from dragoman.stopping import exit_code


def watch(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    once: Annotated[bool, typer.Option(help="Print the present state and end.")] = False,
    as_json: AsJson = False,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between looks.")] = 1.0,
) -> None:
    """Watch a running training until it ends.

    Ctrl-C stops watching, not training.
    """
    run = Run(folder)
    if as_json:
        state = {"status": run.status, "steps": run.steps, "metrics": run.last_metrics()}
        typer.echo(json.dumps(state))
        return
    console = Console()
    if once:
        console.print(view(run))
        typer.echo(f"next: dragoman {'watch' if run.status == 'running' else 'eval'} {folder}")
        return
    try:
        with Live(view(run), console=console, auto_refresh=False) as live:
            while run.status == "running":
                time.sleep(interval)
                live.update(view(run), refresh=True)
    except KeyboardInterrupt as stop:
        raise typer.Exit(exit_code(stop)) from None
    typer.echo(f"next: dragoman eval {folder}")
