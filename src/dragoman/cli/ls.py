"""``dragoman ls``: runs and comparisons below a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from dragoman.listing import COLUMNS, find_rows

NUMBERS = ("steps", "last_return")
FOLDED = ("name", "env", "model", "status")
PIPED_WIDTH = 200


def ls(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Where to look.")] = Path(),
    filter: Annotated[str, typer.Option(help="Only rows in which this text occurs.")] = "",
    sort: Annotated[str, typer.Option(help=f"One of: {', '.join(COLUMNS)}.")] = "name",
) -> None:
    """List runs and comparisons; loads no model."""
    rows = find_rows(folder, text=filter, sort=sort)
    if not rows:
        typer.echo(f"no run and no comparison below {folder}")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in COLUMNS:
        table.add_column(
            column.replace("last_", ""),
            justify="right" if column in NUMBERS else "left",
            overflow="fold",
            no_wrap=column not in FOLDED,
        )
    for row in rows:
        table.add_row(
            row.name,
            row.env,
            row.model,
            row.roles,
            row.seeds,
            f"{row.steps:,}",
            row.status,
            "" if row.last_return is None else f"{row.last_return:.3g}",
            f"{row.date:%m-%d %H:%M}",
        )
    # Where nobody looks, a line is one row, for grep and its like.
    console = Console()
    console.print(table, width=None if console.is_terminal else PIPED_WIDTH, crop=False)
