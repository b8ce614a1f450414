"""``dragoman export``: what a run has trained, in files that others read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dragoman.cli.options import TrustCode
from dragoman.run import Run


def export(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    out: Annotated[Path, typer.Option(help="Folder to make.")],
    merged: Annotated[
        bool, typer.Option("--merged", help="Also the model with the adapters in its weights.")
    ] = False,
    trust_code: TrustCode = False,
) -> None:
    """Write a run's model for PEFT or Transformers, and its heads."""
    run = Run(folder)
    # Only now, so that --help and a bad folder answer at once.
    from dragoman.agents import export as exporting

    written = exporting.export(run, out, merged, trust_code=trust_code)
    typer.echo(f"{written.note}: {written.path}")
    typer.echo(f"next: dragoman distill {folder} --out student, or dragoman push {folder} you/name")
