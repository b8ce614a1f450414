"""``dragoman push`` and ``dragoman pull``: runs on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dragoman.run import Run

NAME = "On the hub: user/name."


def push(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help=NAME)],
    code: Annotated[bool, typer.Option("--code", help="The run names code; send it so.")] = False,
    private: Annotated[bool, typer.Option("--private", help="For you alone.")] = False,
) -> None:
    """Send a run and its card to the Hugging Face hub; the token comes from HF_TOKEN."""
    run = Run(folder)
    # Only now, so that --help and a bad folder answer at once.
    from dragoman.comparison.hub import push as send

    typer.echo(f"sent: {send(run, name, code=code, private=private)}")
    typer.echo(f"next: dragoman pull {name}")


def pull(
    name: Annotated[str, typer.Argument(metavar="NAME", help=NAME)],
    out: Annotated[Path | None, typer.Option(help="Folder to make; the name unless given.")] = None,
) -> None:
    """Take a run from the Hugging Face hub. Nothing of it is executed."""
    from dragoman.comparison.hub import pull as take

    run = take(name, out or Path(name.rpartition("/")[2]))
    typer.echo(f"run folder: {run.path}")
    typer.echo(f"next: dragoman eval {run.path}")
