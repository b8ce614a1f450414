"""``dragoman report``: a comparison's folder becomes a page to read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of a comparison.")],
    out: Annotated[Path | None, typer.Option(help="HTML file to write.")] = None,
) -> None:
    """Write the report of a comparison: HTML, Markdown and figures."""
    # Only now, so that --help answers at once.
    from dragoman.report.document import write_report

    files = write_report(folder, out)
    for file in (files.html, files.markdown, files.curves, files.intervals):
        typer.echo(file)
