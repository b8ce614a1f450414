"""``dragoman seek``: ways to rewards, from an archive of described states."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from dragoman.cli.train import EXPERIMENT, parse_overrides
from dragoman.experiment.source import read_experiment
from dragoman.phrases import counted


class RestoreName(StrEnum):
    """How to return to a state."""

    REPLAY = "replay"
    COPY = "copy"


def seek(
    source: Annotated[str, typer.Argument(metavar="EXPERIMENT", help=EXPERIMENT)],
    out: Annotated[Path, typer.Option(help="Folder to make.")],
    seed: Annotated[int, typer.Option(help="Of starts and choices.")] = 0,
    starts: Annotated[int, typer.Option(help="Archives.")] = 1,
    visits: Annotated[int, typer.Option(help="Returns in each.")] = 26,
    tries: Annotated[int, typer.Option(help="Most actions after each.")] = 10,
    keep: Annotated[int, typer.Option(help="Most ways of each.")] = 10,
    restore: Annotated[RestoreName, typer.Option(help="How to return.")] = RestoreName.REPLAY,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key."),
    ] = None,
) -> None:
    """Find ways to rewards by returning to states that a model finds promising."""
    experiment = read_experiment(source, parse_overrides(overrides or []))
    # Only now, so that --help and a bad file answer at once.
    from dragoman.agents import seek as seeking

    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("seek", total=None)

        def show(states: int, steps: int) -> None:
            progress.update(bar, description=f"{states:,} states, {steps:,} steps")

        found = seeking.seek(
            experiment,
            seed,
            out=out,
            starts=starts,
            visits=visits,
            tries=tries,
            keep=keep,
            restore=restore.value,
            on_step=show,
        )
    typer.echo(f"{counted(found.states, 'state')} in {counted(found.steps, 'step')}")
    for one in found.episodes:
        typer.echo(f"return {one.episode_return:g} in {counted(len(one.actions), 'step')}")
    if not found.episodes:
        typer.echo("no way to a reward; raise --visits or --tries")
    typer.echo(f"folder: {found.path}")
    typer.echo(
        "next: dragoman train EXPERIMENT --set algorithm={name: dqn, demonstrations: FOLDER}"
    )
