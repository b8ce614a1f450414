"""``dragoman export``: what a run has trained or played, in files that others read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dragoman.cli.options import TrustCode, count
from dragoman.errors import ConfigError
from dragoman.run import Run


def export(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    out: Annotated[Path | None, typer.Option(help="Folder to make.")] = None,
    merged: Annotated[
        bool, typer.Option("--merged", help="Also the model with the adapters in its weights.")
    ] = False,
    to: Annotated[
        str | None, typer.Option(metavar="minari:ID", help="Its play, as a data set instead.")
    ] = None,
    episodes: Annotated[
        int, typer.Option(parser=count, metavar="COUNT", help="Of that play.")
    ] = 100,
    trust_code: TrustCode = False,
) -> None:
    """Write a run's model and its heads, or its play for Minari."""
    run = Run(folder)
    if (out is None) == (to is None) or (to is not None and not to.startswith("minari:")):
        raise ConfigError(
            f"--out is {out} and --to is {to}, but a model goes to a folder, and play to Minari",
            cure="name a folder by --out, or a data set by --to minari:ID",
        )
    # Only now, so that --help and a bad folder answer at once.
    if to is not None:
        from dragoman.agents.teach.minari import export_minari

        name = to.removeprefix("minari:")
        made = export_minari(run, name, episodes=episodes, trust_code=trust_code)
        typer.echo(f"wrote {episodes:,} episodes: {made}")
        typer.echo(f"next: dragoman teach MODEL --from {to}")
        return
    from dragoman.agents import export as exporting

    assert out is not None
    written = exporting.export(run, out, merged, trust_code=trust_code)
    typer.echo(f"{written.note}: {written.path}")
    typer.echo(f"next: dragoman distill {folder} --out student, or dragoman push {folder} you/name")
